//! Examples of files: policies, parts of the daemon's configuration, policy tests and records.

use std::path::Path;

use anyhow::{Context, bail};
use serde_json::Value;
use warrantd::config::{CasesFile, DaemonConfig, PolicyFile, Source};

use crate::markdown::{Block, Document};

/// Says which examples are not what they are shown as. Whole policies and configurations that are files of
/// their page are checked by `warrantd check`, too; see `runnable`.
pub(crate) fn wrong(documents: &[Document], record: &Value) -> anyhow::Result<Vec<String>> {
    let record = jsonschema::validator_for(record).context("the schema of records")?;
    let mut wrong = Vec::new();
    for document in documents {
        for block in &document.blocks {
            let judged = match block.language.as_str() {
                "yaml" => yaml(block, &document.at(block.line)),
                "json" => json(block, &record),
                "yml" | "jsonc" | "bash" | "shell" | "console" => Err(anyhow::anyhow!(
                    "`{}` is checked by nobody; write yaml, json or sh",
                    block.language
                )),
                _ => Ok(()),
            };
            if let Err(error) = judged {
                wrong.push(format!("{}: {error:#}", document.at(block.line)));
            }
        }
    }
    Ok(wrong)
}

fn yaml(block: &Block, place: &str) -> anyhow::Result<()> {
    let source = |text: String| Source::new(Path::new(place), text);
    if block.says("config") {
        let whole = source(block.text.clone());
        let missing = if whole.has("servers") { "" } else { "servers: []\n" };
        let config: DaemonConfig = source(format!("{}{missing}", block.text)).parse()?;
        return config_goes_together(&config);
    }
    if block.says("cases") {
        source(block.text.clone()).parse::<CasesFile>()?;
    } else {
        source(block.text.clone()).parse::<PolicyFile>()?;
    }
    Ok(())
}

/// What can be said of a part of a configuration without the files that it names.
fn config_goes_together(config: &DaemonConfig) -> anyhow::Result<()> {
    let fail = |problem: warrantd::config::Problem| {
        anyhow::anyhow!("{}: {}", problem.key, problem.message)
    };
    for (index, listener) in config.listen.iter().enumerate() {
        listener.check(&format!("listen[{index}]")).map_err(fail)?;
    }
    for (index, server) in config.servers.iter().enumerate() {
        server.check(&format!("servers[{index}]")).map_err(fail)?;
    }
    config.limits.check().map_err(fail)?;
    for (index, receiver) in config.audit.ship.iter().enumerate() {
        receiver.check(&format!("audit.ship[{index}]")).map_err(fail)?;
    }
    let told = config.audit.ship.iter().filter(|receiver| receiver.only.is_some());
    let told: Vec<_> = told.map(|receiver| receiver.name.as_str()).collect();
    for (index, alert) in config.audit.alerts.iter().enumerate() {
        alert.check(&format!("audit.alerts[{index}]"), &told).map_err(fail)?;
    }
    Ok(())
}

fn json(block: &Block, record: &jsonschema::Validator) -> anyhow::Result<()> {
    let value: Value = serde_json::from_str(&block.text).context("no JSON")?;
    if block.says("record")
        && let Some(error) = record.iter_errors(&value).next()
    {
        bail!("no record: {} (at {})", error, error.instance_path());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn examples_that_are_not_what_they_are_shown_as_are_found() {
        let text = "```yaml\nactors: []\n```\n```yaml\nactorz: []\n```\n```yaml config\nlisten: [{address: 10.0.0.1:1}]\n```
```yaml config\nlimits: {}\n```\n```json record\n{\"a\": 1}\n```\n```json\n{\"a\": 1}\n```\n```yml\na: 1\n```\n";
        let document = Document::parse(Path::new("x.md"), text);
        let record = json!({"required": ["seq"]});
        let wrong = wrong(&[document], &record).expect("a schema");
        let lines: Vec<_> =
            wrong.iter().map(|text| text.split(": ").next().expect("a place")).collect();
        assert_eq!(lines, ["x.md:4", "x.md:7", "x.md:13", "x.md:19"], "{wrong:#?}");
    }
}
