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

/// Loads these of the programs, as far as they need no word of what they are for. One that fails is not loaded
/// afterwards: whoever loads it then learns why.
pub(super) fn load(ebpf: &mut Ebpf, names: &BTreeSet<&str>) {
    let programs = ebpf.programs_mut().filter(|(name, _)| names.contains(name));
    let queue: Mutex<Vec<&mut Program>> =
        Mutex::new(programs.map(|(_, program)| program).collect());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let threads = thread::available_parallelism().map_or(1, usize::from).min(THREADS);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(program) = next() {
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
