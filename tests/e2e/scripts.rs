//! What real servers are asked: for each a script of different calls, which goes on for ever with other
//! arguments in each round.

use serde_json::{Value, json};

use crate::rig::Rig;
use crate::web::PORT;

/// A tool and its arguments.
pub(crate) type Call = (&'static str, Value);

/// The `n`th call of the filesystem server, from 0.
pub(crate) fn filesystem(rig: &Rig, n: u32) -> Call {
    let path = |relative: &str| json!(rig.root.join(relative));
    let round = n / 12;
    let draft = path(&format!("data/drafts/new-{round}.md"));
    match n % 12 {
        0 => ("read_text_file", json!({"path": path("data/a.md")})),
        1 => ("read_multiple_files", json!({"paths": [path("data/a.md")]})),
        2 => ("get_file_info", json!({"path": path("data/a.md")})),
        3 => ("list_directory", json!({"path": path("data")})),
        4 => ("directory_tree", json!({"path": path("data")})),
        5 => ("search_files", json!({"path": path("data"), "pattern": "*.md"})),
        6 => ("list_allowed_directories", json!({})),
        7 => ("write_file", json!({"path": draft, "content": format!("first, {round}")})),
        8 => ("read_text_file", json!({"path": draft, "head": 1})),
        9 => {
            let edits = json!([{"oldText": "first", "newText": "second"}]);
            ("edit_file", json!({"path": draft, "edits": edits}))
        }
        10 => ("write_file", json!({"path": draft, "content": format!("third, {round}")})),
        _ => ("create_directory", json!({"path": path(&format!("data/drafts/more-{round}"))})),
    }
}

/// The `n`th call of the memory server, from 0.
pub(crate) fn memory(_: &Rig, n: u32) -> Call {
    let round = n / 10;
    let (one, other) = (format!("Ada {round}"), format!("Grace {round}"));
    let entity =
        |name: &str| json!({"name": name, "entityType": "person", "observations": ["counts"]});
    match n % 10 {
        0 => ("create_entities", json!({"entities": [entity(&one)]})),
        1 => ("create_entities", json!({"entities": [entity(&other), entity("everybody")]})),
        2 => {
            let relation = json!({"from": one, "to": other, "relationType": "knows of"});
            ("create_relations", json!({"relations": [relation]}))
        }
        3 => {
            let added = json!({"entityName": one, "contents": ["wrote a note", "on an engine"]});
            ("add_observations", json!({"observations": [added]}))
        }
        4 => ("read_graph", json!({})),
        5 => ("search_nodes", json!({"query": "engine"})),
        6 => ("search_nodes", json!({"query": format!("nobody {round}")})),
        7 => ("open_nodes", json!({"names": [one, other]})),
        8 => ("open_nodes", json!({"names": ["not there"]})),
        _ => {
            let added = json!({"entityName": other, "contents": [format!("found bug {round}")]});
            ("add_observations", json!({"observations": [added]}))
        }
    }
}

/// The `n`th call of the everything server, from 0.
pub(crate) fn everything(_: &Rig, n: u32) -> Call {
    let round = n / 13;
    match n % 13 {
        0 => ("echo", json!({"message": format!("Grüße, 世界 {round}")})),
        1 => ("echo", json!({"message": "x".repeat(1 << (round % 14))})),
        2 => ("get-sum", json!({"a": round, "b": -2.5})),
        3 => ("get-tiny-image", json!({})),
        4 => ("get-annotated-message", json!({"messageType": "error", "includeImage": true})),
        5 => ("get-annotated-message", json!({"messageType": "debug"})),
        6 => {
            let city = ["New York", "Chicago", "Los Angeles"][round as usize % 3];
            ("get-structured-content", json!({"location": city}))
        }
        7 => ("get-resource-links", json!({"count": 1 + round % 10})),
        8 => (
            "get-resource-reference",
            json!({"resourceType": "Text", "resourceId": 1 + round % 100}),
        ),
        9 => (
            "get-resource-reference",
            json!({"resourceType": "Blob", "resourceId": 1 + round % 100}),
        ),
        10 => {
            let data = format!("data:text/plain,text%20{round}");
            let name = format!("text-{round}.gz");
            let arguments = json!({"name": name, "data": data, "outputType": "resource"});
            ("gzip-file-as-resource", arguments)
        }
        11 => ("trigger-long-running-operation", json!({"duration": 0.01, "steps": 1 + round % 3})),
        _ => ("get-sum", json!({"a": 1e10, "b": round})),
    }
}

/// The `n`th call of the fetch server, from 0.
pub(crate) fn fetch(_: &Rig, n: u32) -> Call {
    let round = n / 10;
    let page = |host: &str, path: String| format!("http://{host}:{PORT}/{path}");
    let (docs, api) = ("docs.example.com", "api.docs.example.com");
    let arguments = match n % 10 {
        0 => json!({"url": page(docs, format!("page-{round}"))}),
        1 => json!({"url": page(docs, format!("page-{round}")), "raw": true}),
        2 => json!({"url": page(docs, format!("guide?page={round}")), "max_length": 20}),
        3 => json!({"url": page(docs, "guide".to_owned()), "max_length": 20, "start_index": 10}),
        4 => json!({"url": page(api, String::new())}),
        5 => json!({"url": page(api, format!("v1/items/{round}")), "raw": true}),
        6 => json!({"url": page(api, "v1/items#last".to_owned())}),
        7 => json!({"url": page(docs, "a/b/c/d/e/f".to_owned()), "start_index": 5}),
        8 => {
            json!({"url": page(docs, "gr%C3%BC%C3%9Fe".to_owned()), "raw": true, "max_length": 50})
        }
        _ => json!({"url": page(docs, format!("last-{round}")), "raw": false}),
    };
    ("fetch", arguments)
}

/// The `n`th call of the time server, from 0.
pub(crate) fn time(_: &Rig, n: u32) -> Call {
    const ZONES: [&str; 12] = [
        "Europe/Berlin",
        "America/New_York",
        "Asia/Tokyo",
        "UTC",
        "Australia/Lord_Howe",
        "America/Argentina/Buenos_Aires",
        "Etc/GMT+5",
        "Africa/Nairobi",
        "Asia/Kolkata",
        "Pacific/Apia",
        "America/St_Johns",
        "Antarctica/Troll",
    ];
    let zone = |n: u32| ZONES[n as usize % ZONES.len()];
    if n.is_multiple_of(3) {
        return ("get_current_time", json!({"timezone": zone(n / 3)}));
    }
    let time = format!("{:02}:{:02}", n % 24, n % 60);
    let arguments =
        json!({"source_timezone": zone(n), "time": time, "target_timezone": zone(n / 12 + 5)});
    ("convert_time", arguments)
}
