//! The MCP package for Rust.

use std::process::Stdio;

use anyhow::Context;
use rmcp::model::{CallToolRequestParams, ProtocolVersion};
use rmcp::service::{ClientLifecycleMode, RoleClient, RunningService, serve_client_with_lifecycle};
use rmcp::transport::{StreamableHttpClientTransport, TokioChildProcess, UnixSocketHttpClient};
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::process::Command;

use crate::clients::{Asked, Era, Way};

/// Makes the calls in a session of their own.
pub(crate) fn session(way: &Way, era: Era, calls: &[Asked]) -> anyhow::Result<Vec<Value>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = connect(way, era).await?;
        let mut results = Vec::new();
        for (tool, arguments) in calls {
            let arguments = arguments.as_object().context("arguments")?.clone();
            let call = CallToolRequestParams::new(*tool).with_arguments(arguments);
            let result = client.call_tool(call).await.with_context(|| format!("calling {tool}"))?;
            results.push(serde_json::to_value(result)?);
        }
        client.cancel().await?;
        Ok(results)
    })
}

async fn connect(way: &Way, era: Era) -> anyhow::Result<RunningService<RoleClient, ()>> {
    let era = match era {
        Era::Handshake => ClientLifecycleMode::Initialize,
        // What it does unless it is told which revision the server is of: it asks first.
        Era::Modern => ClientLifecycleMode::Auto {
            preferred_versions: vec![ProtocolVersion::LATEST],
            legacy_version: None,
        },
    };
    Ok(match way {
        Way::Command(command) => {
            let (program, arguments) = command.split_first().context("a command")?;
            let mut process = Command::new(program);
            process.args(arguments);
            let process = TokioChildProcess::builder(process).stderr(Stdio::null()).spawn()?.0;
            serve_client_with_lifecycle((), process, era).await?
        }
        Way::Socket(path) => {
            let stream = UnixStream::connect(path).await?;
            serve_client_with_lifecycle((), stream, era).await?
        }
        Way::UnixHttp { socket, url } => {
            let socket = socket.to_str().context("a path")?;
            let http = StreamableHttpClientTransport::<UnixSocketHttpClient>::from_unix_socket(
                socket,
                url.as_str(),
            );
            serve_client_with_lifecycle((), http, era).await?
        }
        other @ Way::Url { .. } => anyhow::bail!("not for this client: {other:?}"),
    })
}
