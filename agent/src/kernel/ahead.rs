//! Loads programs at the same time. The kernel verifies each of them, which takes most of a start, and those of
//! privileged callers without a lock (`bpf_check` in `kernel/bpf/verifier.c`).
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::thread;

use aya::programs::{Program, ProgramError};
use aya::{Btf, BtfError, Ebpf};

/// Threads that load, at most.
const THREADS: usize = 4;

/// Programs that take long to verify, in the order in which they are begun, so that no thread is left with one while the
/// others have nothing to do.
const LONG: [&str; 8] = [
    "lsm_file_open",
    "fentry_file_open",
    "warrantd_open",
    "warrantd_change",
    "warrantd_connected",
    "warrantd_egress",
    "warrantd_ingress",
    "warrantd_exec",
];

/// The kernel's types, read when they are asked for.
#[derive(Default)]
pub(super) struct Types(Option<Btf>);

impl Types {
    pub(super) fn get(&mut self) -> Result<&Btf, BtfError> {
        let types = match self.0.take() {
            Some(types) => types,
            None => Btf::from_sys_fs()?,
        };
        Ok(self.0.insert(types))
    }
}

/// Loads these of the programs, each with what it hooks. One that fails is not loaded afterwards: whoever loads it then
/// learns why.
pub(super) fn load(
    ebpf: &mut Ebpf,
    wanted: &BTreeMap<&str, Option<&'static str>>,
    types: &mut Types,
) {
    let types = if wanted.values().any(Option::is_some) { types.get().ok() } else { None };
    let programs = ebpf.programs_mut();
    let mut programs: Vec<_> =
        programs.filter_map(|(name, program)| Some((name, program, *wanted.get(name)?))).collect();
    let last = LONG.len();
    programs.sort_by_key(|(name, ..)| LONG.iter().position(|long| long == name).unwrap_or(last));
    let queue = Mutex::new(programs.into_iter());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let threads = thread::available_parallelism().map_or(1, usize::from).min(THREADS);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((_, program, hook)) = next() {
                    let _ = load_one(program, hook.zip(types));
                }
            });
        }
    });
}

fn load_one(program: &mut Program, hook: Option<(&str, &Btf)>) -> Result<(), ProgramError> {
    match (program, hook) {
        (Program::CgroupSockAddr(program), _) => program.load(),
        (Program::CgroupSock(program), _) => program.load(),
        (Program::CgroupSkb(program), _) => program.load(),
        (Program::TracePoint(program), _) => program.load(),
        (Program::RawTracePoint(program), _) => program.load(),
        (Program::Lsm(program), Some((hook, types))) => program.load(hook, types),
        (Program::FEntry(program), Some((function, types))) => program.load(function, types),
        _ => Ok(()),
    }
}
