//! Tasks: a call that goes on after its answer is judged whole.

use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use warrantd_tests::client::{Client, Reply};
use warrantd_tests::harness::test;
use warrantd_tests::needs::Need;
use warrantd_tests::records::{Record, await_record, calls, read};
use warrantd_tests::scratch::text;

use crate::rig::{DENIED, NOTE, Rig, WITHHELD, expect_error};

const POLICY: &str = "
actors:
  - {id: tester, allowed_tools: [read_text_file]}
constraints:
  read_text_file: {allowed_paths: ['public/**']}
";

pub(crate) fn tests() -> Vec<Trial> {
    const KERNEL: &[Need] = &[Need::Kernel];
    vec![
        test("tasks::the_result_of_an_honest_task_arrives", KERNEL, honest),
        test("tasks::what_a_task_does_after_its_answer_is_its_own", KERNEL, rogue),
        test("tasks::a_task_whose_time_is_up_has_no_warrant", KERNEL, expired),
        test("tasks::a_task_that_was_cancelled_has_no_warrant", KERNEL, cancelled),
        test("tasks::tasks_of_others_are_not_asked_for", KERNEL, foreign),
        test("tasks::an_open_task_is_recorded_at_the_end", KERNEL, abandoned),
    ]
}

fn start(client: &mut Client, task: &Value) -> anyhow::Result<String> {
    let arguments = json!({"path": "public/note.txt"});
    let params = json!({"name": "read_text_file", "arguments": arguments, "task": task});
    let reply = client.request("tools/call", &params)?;
    let id = reply.result()?["task"]["taskId"].as_str().map(str::to_owned);
    id.with_context(|| format!("no task in {}", reply.line))
}

fn ask(client: &mut Client, method: &str, task: &str) -> anyhow::Result<Reply> {
    client.request(method, &json!({"taskId": task}))
}

/// The records of the call and of the task, which have one correlation id.
fn both(rig: &Rig) -> anyhow::Result<(Record, Record)> {
    let call = calls(&rig.audit)?.into_iter().next().context("no record of the call")?;
    let task = read(&rig.audit)?.into_iter().find(|record| record.text("event") == "task");
    let task = task.context("no record of the task")?;
    ensure!(call.get("correlation_id") == task.get("correlation_id"), "{call:#?} {task:#?}");
    ensure!(task.text("tool_name") == "read_text_file", "{task:#?}");
    Ok((call, task))
}

fn honest() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let mut client = Client::connect(rig.run(&rig.rogue(&[])?)?)?;
    let task = start(&mut client, &json!({"ttl": 60000}))?;
    ensure!(ask(&mut client, "tasks/get", &task)?.result()?["status"] == "completed");
    ensure!(client.request("tasks/list", &json!({}))?.result()?["tasks"][0]["taskId"] == *task);
    ensure!(ask(&mut client, "tasks/result", &task)?.text()? == NOTE);
    ensure!(ask(&mut client, "tasks/result", &task)?.text()? == NOTE, "it can be asked for again");
    client.finish()?;
    let (call, task) = both(&rig)?;
    ensure!(call.verdict() == "WITHIN" && call.warranted().is_empty(), "{call:#?}");
    ensure!(task.verdict() == "WITHIN" && task.warranted().len() == 1, "{task:#?}");
    ensure!(task.text("effects.attribution") == "exclusive", "{task:#?}");
    Ok(())
}

fn rogue() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let secret = text(&rig.root.join("secret.txt"));
    let mut client = Client::connect(rig.run(&rig.rogue(&["--also-read", &secret])?)?)?;
    let task = start(&mut client, &json!({"ttl": 60000}))?;
    // It works when it is looked at.
    expect_error(&ask(&mut client, "tasks/get", &task)?, WITHHELD)?;
    for _ in 0..2 {
        let reply = ask(&mut client, "tasks/result", &task)?;
        ensure!(reply.error_code() == Some(WITHHELD), "{}", reply.line);
    }
    ensure!(!client.received().contains("note that may be read"), "{}", client.received());
    client.finish()?;
    let (call, task) = both(&rig)?;
    ensure!(call.verdict() == "WITHIN", "{call:#?}");
    ensure!(task.verdict() == "EXCEEDED" && task.text("status") == "FAILURE", "{task:#?}");
    ensure!(task.exceeded().iter().any(|effect| effect["path"] == json!(secret)), "{task:#?}");
    Ok(())
}

fn expired() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let mut client = Client::connect(rig.run(&rig.rogue(&[])?)?)?;
    let task = start(&mut client, &json!({"ttl": 1}))?;
    await_record(&rig.audit, |record| record.text("event") == "task")?;
    // The server works on it only now.
    let reply = ask(&mut client, "tasks/result", &task)?;
    ensure!(reply.error_code() == Some(WITHHELD), "{}", reply.line);
    client.finish()?;
    let (_, task) = both(&rig)?;
    ensure!(task.text("status") == "TIMEOUT" && task.verdict() == "WITHIN", "{task:#?}");
    Ok(())
}

fn cancelled() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let mut client = Client::connect(rig.run(&rig.rogue(&[])?)?)?;
    let task = start(&mut client, &json!({}))?;
    ask(&mut client, "tasks/cancel", &task)?.result()?;
    let reply = ask(&mut client, "tasks/result", &task)?;
    ensure!(reply.error_code() == Some(WITHHELD), "{}", reply.line);
    client.finish()?;
    ensure!(both(&rig)?.1.verdict() == "WITHIN");
    Ok(())
}

fn foreign() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let mut client = Client::connect(rig.run(&rig.rogue(&[])?)?)?;
    for method in ["tasks/get", "tasks/result", "tasks/cancel"] {
        expect_error(&ask(&mut client, method, "task-1")?, DENIED)?;
    }
    ensure!(client.request("tasks/list", &json!({}))?.result()?["tasks"] == json!([]));
    client.finish()?;
    Ok(())
}

fn abandoned() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let mut client = Client::connect(rig.run(&rig.rogue(&[])?)?)?;
    start(&mut client, &json!({}))?;
    thread::sleep(Duration::from_millis(20));
    ensure!(client.finish()?.status.success());
    let (_, task) = both(&rig)?;
    ensure!(task.text("error").contains("ended before the task"), "{task:#?}");
    Ok(())
}
