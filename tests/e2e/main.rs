//! End-to-end tests of warrantd: real servers, real clients, a rogue server, the real kernel.
//!
//! Tests that count verdicts make some ten calls of each kind. `WARRANTD_TEST_CALLS=1000` makes that many:
//! `WARRANTD_TEST_CALLS=1000 cargo test -p warrantd-tests --test e2e -- modes::`.
#![forbid(unsafe_code)]

mod activation;
mod alerts;
mod argv;
mod attribution;
mod audit_disk;
mod audit_kill;
mod broken;
mod call;
mod clients;
mod conformance;
mod crash;
mod daemon;
mod discover;
mod doctor;
mod enforce;
mod eras;
mod filesystem;
mod fixture;
mod floor;
mod frozen;
mod gap;
mod http;
mod http_load;
mod http_streams;
mod http_tls;
mod http_world;
mod late;
mod learn;
mod learned;
mod lifecycle;
mod methods;
mod metrics;
mod modes;
mod names;
mod names_world;
mod network;
mod pinning;
mod processes;
mod python;
mod race;
mod real;
mod refused;
mod reload;
mod report;
mod rig;
mod rogue;
mod rust_client;
mod scripts;
mod secrets;
mod service;
mod ssrf;
mod stage;
mod start_effects;
mod startup;
mod status;
mod strict;
mod tasks;
mod top;
mod upstream;
mod vulnerable;
mod web;

use std::process::ExitCode;

fn main() -> ExitCode {
    let subjects = [
        filesystem::tests(),
        eras::tests(),
        rogue::tests(),
        metrics::tests(),
        status::tests(),
        top::tests(),
        doctor::tests(),
        modes::tests(),
        late::tests(),
        race::tests(),
        refused::tests(),
        activation::tests(),
        report::tests(),
        alerts::tests(),
        argv::tests(),
        real::tests(),
        learned::tests(),
        upstream::tests(),
        vulnerable::tests(),
        secrets::tests(),
        service::tests(),
        ssrf::tests(),
        network::tests(),
        names::tests(),
        daemon::tests(),
        reload::tests(),
        broken::tests(),
        http::tests(),
        http_streams::tests(),
        http_tls::tests(),
        http_load::tests(),
        lifecycle::tests(),
        crash::tests(),
        audit_disk::tests(),
        audit_kill::tests(),
        gap::tests(),
        floor::tests(),
        pinning::tests(),
        startup::tests(),
        enforce::tests(),
        learn::tests(),
        start_effects::tests(),
        attribution::tests(),
        tasks::tests(),
        frozen::tests(),
        strict::tests(),
        discover::tests(),
        conformance::tests(),
        call::tests(),
        clients::tests(),
        methods::tests(),
    ];
    warrantd_tests::harness::run(subjects.into_iter().flatten().collect())
}
