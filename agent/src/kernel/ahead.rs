//! Loads programs at the same time. The kernel verifies each of them, which takes most of a start, and those of
//! privileged callers without a lock (`bpf_check` in `kernel/bpf/verifier.c`).
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::thread;

use aya::Ebpf;
use aya::programs::{Program, ProgramError};

/// Threads that load, at most: there are no more long programs than that.
const THREADS: usize = 4;

/// Programs that take long to verify, in the order in which they are begun, so that no thread is left with one while the
/// others have nothing to do.
const LONG: [&str; 6] = [
    "warrantd_change",
    "warrantd_connected",
    "warrantd_open",
    "warrantd_exec",
    "warrantd_ingress",
    "warrantd_egress",
];

/// Loads these of the programs, as far as they need no word of what they are for. One that fails is not loaded
/// afterwards: whoever loads it then learns why.
pub(super) fn load(ebpf: &mut Ebpf, names: &BTreeSet<&str>) {
    let programs = ebpf.programs_mut().filter(|(name, _)| names.contains(name));
    let mut programs: Vec<(&str, &mut Program)> = programs.collect();
    programs
        .sort_by_key(|(name, _)| LONG.iter().position(|long| long == name).unwrap_or(LONG.len()));
    let queue = Mutex::new(programs.into_iter());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let threads = thread::available_parallelism().map_or(1, usize::from).min(THREADS);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((_, program)) = next() {
                    let _ = load_one(program);
                }
            });
        }
    });
}

fn load_one(program: &mut Program) -> Result<(), ProgramError> {
    match program {
        Program::CgroupSockAddr(program) => program.load(),
        Program::CgroupSock(program) => program.load(),
        Program::CgroupSkb(program) => program.load(),
        Program::TracePoint(program) => program.load(),
        Program::RawTracePoint(program) => program.load(),
        _ => Ok(()),
    }
}
