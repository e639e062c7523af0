//! What the kernel saw a server's processes do.

use serde_json::{Map, Value, json};

use super::base::{Builder, Class, object};
use super::object::{base_name, doer, process, server};
use crate::policy::network::Protocol;
use crate::warrant::{Effect, EffectKind, FileTarget, Outcome, Peer, Target};

const FILE: Class = Class { uid: 1001, category: 1, name: "File System Activity", profiles: &[] };
const PROCESS: Class = Class { uid: 1007, category: 1, name: "Process Activity", profiles: &[] };
const NETWORK: Class = Class { uid: 4001, category: 4, name: "Network Activity", profiles: &[] };

/// An effect.
pub(super) fn event(builder: Builder<'_>, effect: &Effect, exceeded: bool) -> Map<String, Value> {
    let denied = effect.outcome == Outcome::Denied;
    let kind = effect.kind.to_string();
    let refused = |activity| if denied { (5, "Refuse") } else { activity };
    let mut event = match effect.kind {
        EffectKind::FileRead => on_file(builder, effect, (2, "Read")),
        EffectKind::FileWrite => on_file(builder, effect, (3, "Update")),
        EffectKind::FileCreate => on_file(builder, effect, (1, "Create")),
        EffectKind::FileDelete => on_file(builder, effect, (4, "Delete")),
        EffectKind::FileRename => on_file(builder, effect, (5, "Rename")),
        EffectKind::FileAttributes => on_file(builder, effect, (6, "Set Attributes")),
        EffectKind::Mount => on_file(builder, effect, (12, "Mount")),
        EffectKind::FileLink | EffectKind::FileMap => on_file(builder, effect, (99, &kind)),
        EffectKind::Exec => launch(builder, effect),
        EffectKind::LeaveCgroup => on_process(builder, effect, (99, &kind)),
        EffectKind::Connect | EffectKind::ConnectUnix => {
            on_network(builder, effect, refused((1, "Open")))
        }
        EffectKind::Send | EffectKind::Packet | EffectKind::LatePacket => {
            on_network(builder, effect, refused((6, "Traffic")))
        }
        EffectKind::Bind => on_network(builder, effect, refused((7, "Listen"))),
        EffectKind::Socket => on_network(builder, effect, refused((99, &kind))),
    };
    event.insert("actor".into(), doer(builder, &effect.process));
    event.insert("status_id".into(), if denied { 2 } else { 1 }.into());
    event.insert("status".into(), if denied { "Failure" } else { "Success" }.into());
    if let Some(Value::Object(rest)) = event.get_mut("unmapped") {
        let told = json!({
            "kind": kind, "exceeded": exceeded, "event": effect.seq, "boot_ns": effect.boot_ns,
            "argv_cut": effect.argv_cut,
        });
        rest.insert("effect".into(), told);
    }
    event
}

fn on_file(builder: Builder<'_>, effect: &Effect, activity: (u32, &str)) -> Map<String, Value> {
    let mut event = builder.event(FILE, activity);
    let target = match &effect.target {
        Target::File(target) => file(target),
        Target::Peer(peer) => json!({"name": peer.peer.to_string(), "type_id": 0}),
    };
    event.insert("file".into(), target);
    event
}

fn on_process(builder: Builder<'_>, effect: &Effect, activity: (u32, &str)) -> Map<String, Value> {
    let mut event = builder.event(PROCESS, activity);
    event.insert("process".into(), process(&effect.process));
    event
}

fn launch(builder: Builder<'_>, effect: &Effect) -> Map<String, Value> {
    let mut event = on_process(builder, effect, (1, "Launch"));
    event.insert("launch_type_id".into(), 3.into());
    event.insert("launch_type".into(), "Exec".into());
    if let (Some(Value::Object(started)), Target::File(program)) =
        (event.get_mut("process"), &effect.target)
    {
        started.insert("name".into(), base_name(&program.path).into());
        started.insert("path".into(), program.path.clone().into());
        started.insert("cmd_line".into(), effect.argv.join(" ").into());
        started.insert("file".into(), file(program));
    }
    event
}

fn on_network(builder: Builder<'_>, effect: &Effect, activity: (u32, &str)) -> Map<String, Value> {
    let mut event = builder.event(NETWORK, activity);
    match &effect.target {
        Target::Peer(peer) => {
            let inbound = effect.kind == EffectKind::Bind;
            let side = if inbound { "src_endpoint" } else { "dst_endpoint" };
            event.insert(side.into(), endpoint(peer));
            event.insert("connection_info".into(), connection(peer, inbound));
        }
        Target::File(socket) => {
            event.insert("dst_endpoint".into(), json!({"name": socket.path}));
            let local = json!({"direction_id": 4, "direction": "Local", "protocol_name": "unix"});
            event.insert("connection_info".into(), local);
        }
    }
    event
}

/// A name that a server asked for in vain.
pub(super) fn name_refused(builder: Builder<'_>) -> Map<String, Value> {
    let mut event = builder.event(NETWORK, (5, "Refuse"));
    builder.add_status(&mut event);
    event.insert("src_endpoint".into(), server(builder));
    event.insert("app_protocol_name".into(), "dns".into());
    event
}

/// A file as the kernel identifies it.
pub(super) fn file(target: &FileTarget) -> Value {
    let mut file = object(json!({
        "name": base_name(&target.path),
        "path": target.path,
        "type_id": 0,
        "uid": format!("{}:{}", target.dev, target.ino),
    }));
    if let Some((parent, _)) = target.path.rsplit_once('/').filter(|(parent, _)| !parent.is_empty())
    {
        file.insert("parent_folder".into(), parent.into());
    }
    file.into()
}

/// The far end of a connection.
pub(super) fn endpoint(peer: &Peer) -> Value {
    let mut endpoint = object(json!({"ip": peer.peer.ip().to_string(), "port": peer.peer.port()}));
    if let [first, ..] = peer.names.as_slice() {
        endpoint.insert("hostname".into(), first.clone().into());
    }
    endpoint.into()
}

fn connection(peer: &Peer, inbound: bool) -> Value {
    let (name, number) = match peer.protocol {
        Protocol::Tcp => ("tcp".to_owned(), 6),
        Protocol::Udp => ("udp".to_owned(), 17),
        Protocol::Other(number) => (format!("protocol {number}"), number),
    };
    let version = if peer.peer.is_ipv4() { 4 } else { 6 };
    let (direction, direction_name) = if inbound { (1, "Inbound") } else { (2, "Outbound") };
    json!({
        "protocol_name": name,
        "protocol_num": number,
        "protocol_ver_id": version,
        "direction_id": direction,
        "direction": direction_name,
    })
}
