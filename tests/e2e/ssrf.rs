//! The real fetch server is asked for what only the host itself may see (server-side request forgery).

use std::process::Command;

use anyhow::ensure;
use libtest_mimic::Trial;
use serde_json::json;
use warrantd_tests::client::Client;
use warrantd_tests::harness::test;
use warrantd_tests::needs::Need;
use warrantd_tests::places;

use crate::rig::{DENIED, Rig, WITHHELD, expect_error};
use crate::stage::seen;
use crate::web::{PORT, Web};

/// Where clouds tell whoever asks the credentials of a machine.
const METADATA: &str = "169.254.169.254";

/// What both policies have; `constraints` are what policy checks.
const POLICY: &str = "
actors:
  - {id: tester, allowed_tools: [fetch]}
constraints: {constraints}
network:
  allow:
    - {host: docs.example.com, ports: [8080], protocol: tcp}
effects:
  ambient:
    read: [/etc/resolv.conf, /etc/hosts, /etc/nsswitch.conf, /etc/host.conf, /etc/gai.conf]
  tools:
    fetch: {connect: ['${arguments.url}']}
";

const CHECKS: &str = "{fetch: {allowed_urls: ['http://docs.example.com:8080/**']}}";
/// Everything may be asked for.
const NO_CHECKS: &str = "{}";

pub(crate) fn tests() -> Vec<Trial> {
    const NEEDS: &[Need] = &[Need::Kernel, Need::Netns, Need::PythonServer("mcp-server-fetch")];
    vec![test("ssrf::the_metadata_service_is_not_reached", NEEDS, metadata)]
}

fn metadata() -> anyhow::Result<()> {
    let server = places::python_server("mcp-server-fetch").map_err(anyhow::Error::msg)?;
    let server =
        [server.as_os_str(), "--allow-private-ips".as_ref(), "--ignore-robots-txt".as_ref()];
    let attack = json!({"url": format!("http://{METADATA}:{PORT}/latest/meta-data"), "raw": true});
    let honest = json!({"url": format!("http://docs.example.com:{PORT}/page"), "raw": true});
    for (constraints, code) in [(CHECKS, DENIED), (NO_CHECKS, WITHHELD)] {
        let mut rig = Rig::new(&POLICY.replace("{constraints}", constraints))?;
        rig.env.push("PATH=/nonexistent".to_owned());
        let web = Web::new(&rig)?;

        let mut alone: Command = web.enter(server[0]);
        alone.args(&server[1..]);
        let given = Client::connect(alone)?.call("fetch", &attack)?;
        ensure!(given.text()?.contains("A page"), "the hole is none: {}", given.line);
        ensure!(web.reached() == [format!("tcp 0.0.0.0:{PORT}")]);

        let mut client = Client::connect(web.run(&rig, &server)?)?;
        let reply = client.call("fetch", &attack)?;
        expect_error(&reply, code)?;
        ensure!(web.reached().is_empty(), "it was reached");
        let answer = client.call("fetch", &honest)?;
        ensure!(answer.text()?.contains("A page"), "{}", answer.line);
        client.finish()?;
        let record = rig.record_of(&reply)?;
        if code == WITHHELD {
            // The warrant names it, because the argument does; the kernel never lets it.
            ensure!(record.verdict() == "EXCEEDED", "{record:#?}");
            let found: Vec<_> = record.exceeded().iter().map(seen).collect();
            let wanted = ("connect".to_owned(), format!("{METADATA}:{PORT}"));
            ensure!(found == [wanted], "{record:#?}");
            ensure!(record.exceeded()[0]["outcome"] == json!("denied"), "{record:#?}");
        } else {
            ensure!(record.text("policy_decision") == "DENY", "{record:#?}");
        }
    }
    Ok(())
}
