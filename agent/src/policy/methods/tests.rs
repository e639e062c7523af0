//! Whole decisions about methods.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::config::{Action, PolicyFile};
use crate::mcp::methods::{METHODS, Nature, Side};
use crate::policy::compile::Policy;
use crate::policy::decide::Decision;

const POLICY: &str = "
actors:
  - id: reader
    methods:
      allow: [prompts/get]
      deny: [completion/complete]
      resources/read: {denied_paths: ['**/*.key']}
  - id: other
methods:
  allow: [resources/*, completion/complete, sampling/createMessage, elicitation/create, com.example/count]
  deny: [logging/setLevel]
  resources/read:
    allowed_uris: ['file:///srv/data/**', 'memo://notes/*', 'db://**']
    denied_uris: ['memo://notes/secret*', 'db://**/users']
    allowed_paths: [docs/**]
    denied_paths: ['**/.env']
    timeout_seconds: 5
  resources/subscribe: {allowed_uris: ['memo://**']}
  prompts/get: {allowed_prompts: ['review-*'], denied_prompts: ['*-draft']}
  completion/complete: {allowed_prompts: [review-code], allowed_uris: ['memo://{+name}']}
  sampling/createMessage: {max_tokens: 100, include_context: this_server}
  elicitation/create:
    modes: [form, url]
    denied_fields: ['*password*']
    allowed_urls: ['https://login.example.com/**']
";

fn policy(text: &str) -> Policy {
    let file: PolicyFile = serde_yaml::from_str(text).expect("policy");
    Policy::compile(&file, "/srv").expect("compiles")
}

fn decision(from: Side, actor: &str, method: &str, params: &Value) -> Decision {
    let params = params.as_object().expect("an object");
    // In this file system, data/link leads out.
    let resolve = |path: &str| match path {
        "/srv/data/link" => "/etc/passwd".to_owned(),
        other => other.to_owned(),
    };
    decide_method(&policy(POLICY), from, Asked { actor, method, params, resolve: &resolve })
}

#[track_caller]
fn denied(from: Side, actor: &str, method: &str, params: &Value, rule: &str) {
    let decision = decision(from, actor, method, params);
    assert_eq!((decision.action, decision.rule.as_str()), (Action::Deny, rule), "{decision:?}");
}

/// The rule by which it is allowed.
#[track_caller]
fn allowed(from: Side, actor: &str, method: &str, params: &Value) -> String {
    let decision = decision(from, actor, method, params);
    assert_eq!(decision.action, Action::Allow, "{decision:?}");
    decision.rule
}

fn read(uri: &str) -> Decision {
    decision(Side::Client, "reader", "resources/read", &json!({ "uri": uri }))
}

#[test]
fn what_cannot_act_is_allowed_and_what_can_is_not_when_nothing_is_said() {
    let policy = policy("actors: [{id: a}]\ndefault_action: ALLOW\n");
    let params = json!({"uri": "a:b", "notifications": {}});
    let params = params.as_object().expect("an object");
    for method in &METHODS {
        for side in [Side::Client, Side::Server] {
            let asked = Asked { actor: "a", method: method.name, params, resolve: &str::to_owned };
            let decision = decide_method(&policy, side, asked);
            let passive = matches!(method.nature, Nature::Core | Nature::Passive);
            let expected = passive && method.is_sent_by(side);
            assert_eq!(decision.action == Action::Allow, expected, "{side:?} {decision:?}");
        }
    }
}

#[test]
fn a_side_sends_its_own_methods_alone() {
    denied(Side::Client, "reader", "sampling/createMessage", &json!({}), "methods");
    denied(Side::Server, "reader", "resources/read", &json!({"uri": "memo://notes/a"}), "methods");
    denied(Side::Client, "reader", "notifications/message", &json!({}), "methods");
    allowed(Side::Server, "reader", "notifications/message", &json!({}));
    allowed(Side::Server, "reader", "ping", &json!({}));
}

#[test]
fn what_mcp_does_not_have_is_denied_unless_it_is_named() {
    allowed(Side::Client, "reader", "com.example/count", &json!({}));
    denied(Side::Client, "reader", "com.example/other", &json!({}), "methods");
    denied(
        Side::Client,
        "reader",
        "resources/delete",
        &json!({"uri": "memo://notes/a"}),
        "methods",
    );
    denied(Side::Server, "reader", "com.example/count", &json!({}), "methods");
    denied(Side::Server, "reader", "notifications/com.example", &json!({}), "methods");
}

#[test]
fn actors_have_methods_of_their_own_and_those_of_all() {
    let prompt = json!({"name": "review-code"});
    assert_eq!(allowed(Side::Client, "reader", "prompts/get", &prompt), "actors[0].methods.allow");
    denied(Side::Client, "other", "prompts/get", &prompt, "methods");
    denied(Side::Client, "stranger", "prompts/get", &prompt, "methods");
    let note = json!({"uri": "memo://notes/a"});
    denied(Side::Client, "stranger", "resources/read", &note, "actors");
    let completion = json!({
        "ref": {"type": "ref/prompt", "name": "review-code"},
        "argument": {"name": "a", "value": ""},
    });
    assert_eq!(allowed(Side::Client, "other", "completion/complete", &completion), "methods.allow");
    denied(Side::Client, "reader", "completion/complete", &completion, "actors[0].methods.deny[0]");
    denied(Side::Client, "reader", "logging/setLevel", &json!({}), "methods.deny[0]");
}

#[test]
fn a_file_is_judged_as_the_path_it_leads_to() {
    for uri in ["file:///srv/data/a", "file:///srv/data/a%20b", "file:///srv/docs/x/y"] {
        let decision = read(uri);
        assert_eq!(decision.action, Action::Allow, "{uri} {decision:?}");
        assert_eq!(decision.paths.len(), 1, "{uri}");
        assert_eq!(decision.timeout, Some(std::time::Duration::from_secs(5)));
    }
    let key = "methods.resources/read";
    for (uri, rule) in [
        ("file:///etc/passwd", format!("{key}.allowed_uris")),
        ("FILE:///etc/passwd", format!("{key}.allowed_uris")),
        ("file://localhost/etc/passwd", format!("{key}.allowed_uris")),
        ("file:/etc/passwd", format!("{key}.allowed_uris")),
        ("file:///srv/data/../secret", format!("{key}.allowed_uris")),
        ("file:///srv/data/%2e%2e/secret", format!("{key}.allowed_uris")),
        ("file:///srv/data/%252e%252e/secret", key.to_owned()),
        ("file:///srv/data/link", format!("{key}.allowed_uris")),
        ("file:///srv/data/.ENV", format!("{key}.denied_paths[0]")),
        ("file:///srv/data/%2eenv", format!("{key}.denied_paths[0]")),
        ("file:///srv/data/a.key", format!("actors[0].{key}.denied_paths[0]")),
        ("file://evil/srv/data/a", key.to_owned()),
        ("file:///srv/data/a%00", key.to_owned()),
        ("/srv/data/a", key.to_owned()),
        ("", key.to_owned()),
    ] {
        let decision = read(uri);
        assert_eq!((decision.action, decision.rule), (Action::Deny, rule), "{uri}");
    }
}

#[test]
fn other_uris_are_judged_as_written_and_as_decoded() {
    for uri in
        ["memo://notes/a", "MEMO://notes/a", "memo://notes/a%20b", "db://main/tables/a?limit=1"]
    {
        assert_eq!(read(uri).action, Action::Allow, "{uri} {:?}", read(uri));
        assert!(read(uri).paths.is_empty());
    }
    let key = "methods.resources/read";
    for (uri, rule) in [
        ("memo://notes/a/b", format!("{key}.allowed_uris")),
        ("memo://notes/a%2fb", format!("{key}.allowed_uris")),
        ("memo://other/a", format!("{key}.allowed_uris")),
        ("memo://notes/secret-1", format!("{key}.denied_uris[0]")),
        ("memo://notes/SECRET", format!("{key}.denied_uris[0]")),
        ("memo://notes/%73ecret", format!("{key}.denied_uris[0]")),
        ("memo://notes/%2573ecret", format!("{key}.denied_uris[0]")),
        ("db://main/tables/users", format!("{key}.denied_uris[1]")),
        ("db://main/x/../users", key.to_owned()),
        ("db://main/x/%2e%2e/users", key.to_owned()),
        ("memo://notes/a b", key.to_owned()),
        ("memo://notes\\a", key.to_owned()),
        ("notes", key.to_owned()),
    ] {
        let decision = read(uri);
        assert_eq!((decision.action, decision.rule), (Action::Deny, rule), "{uri}");
    }
}

#[test]
fn prompts_and_completions_go_by_name() {
    let get = |name: &str| json!({"name": name});
    let key = "methods.prompts/get";
    allowed(Side::Client, "reader", "prompts/get", &get("review-code"));
    denied(Side::Client, "reader", "prompts/get", &get("other"), &format!("{key}.allowed_prompts"));
    let draft = get("review-DRAFT");
    denied(Side::Client, "reader", "prompts/get", &draft, &format!("{key}.denied_prompts[0]"));
    denied(Side::Client, "reader", "prompts/get", &json!({"name": 7}), key);
    let twice = json!({"name": "review-code", "arguments": {"a": "1", "A": "2"}});
    denied(Side::Client, "reader", "prompts/get", &twice, key);
    let complete = |of: Value| json!({"ref": of, "argument": {"name": "a", "value": "b"}});
    let key = "methods.completion/complete";
    let of = |of: Value, rule: Option<&str>| match rule {
        None => {
            allowed(Side::Client, "other", "completion/complete", &complete(of));
        }
        Some(list) => {
            let rule = if list.is_empty() { key.to_owned() } else { format!("{key}.{list}") };
            denied(Side::Client, "other", "completion/complete", &complete(of), &rule);
        }
    };
    of(json!({"type": "ref/prompt", "name": "review-code"}), None);
    of(json!({"type": "ref/prompt", "name": "x"}), Some("allowed_prompts"));
    of(json!({"type": "ref/resource", "uri": "db://x"}), Some("allowed_uris"));
    of(json!({"type": "ref/resource", "uri": "memo://x", "name": "review-code"}), Some(""));
    of(json!({"type": "ref/other"}), Some(""));
}

#[test]
fn what_a_client_listens_to_is_what_it_may_subscribe_to() {
    let listen = |filter: Value| json!({"notifications": filter});
    let method = "subscriptions/listen";
    allowed(Side::Client, "reader", method, &listen(json!({"toolsListChanged": true})));
    let uris = |uris: &[&str]| listen(json!({"resourceSubscriptions": uris}));
    allowed(Side::Client, "reader", method, &uris(&["memo://a", "memo://b"]));
    let rule = "methods.resources/subscribe.allowed_uris";
    denied(Side::Client, "reader", method, &uris(&["memo://a", "db://b"]), rule);
    denied(Side::Client, "reader", "resources/subscribe", &json!({"uri": "db://b"}), rule);
    let key = "methods.subscriptions/listen";
    denied(Side::Client, "reader", method, &json!({}), key);
    denied(
        Side::Client,
        "reader",
        method,
        &listen(json!({"ResourceSubscriptions": ["db://b"]})),
        key,
    );
    denied(Side::Client, "reader", method, &listen(json!({"resourceSubscriptions": [7]})), key);
    let closed = policy("actors: [{id: reader}]\n");
    let params = uris(&["memo://a"]);
    let params = params.as_object().expect("an object");
    let asked = Asked { actor: "reader", method, params, resolve: &str::to_owned };
    assert_eq!(decide_method(&closed, Side::Client, asked).action, Action::Deny);
}

#[test]
fn servers_ask_within_limits() {
    let key = "methods.sampling/createMessage";
    let sample = |more: Value| {
        let mut params = json!({"messages": [], "maxTokens": 100});
        for (name, value) in more.as_object().expect("an object") {
            params[name] = value.clone();
        }
        params
    };
    let method = "sampling/createMessage";
    allowed(Side::Server, "reader", method, &sample(json!({})));
    allowed(Side::Server, "reader", method, &sample(json!({"includeContext": "thisServer"})));
    for (more, list) in [
        (json!({"maxTokens": 101}), ".max_tokens"),
        (json!({"maxTokens": 1.5}), ".max_tokens"),
        (json!({"maxTokens": "1"}), ".max_tokens"),
        (json!({"maxtokens": 9000}), ""),
        (json!({"includeContext": "allServers"}), ".include_context"),
        (json!({"includeContext": "everything"}), ""),
        (json!({"task": {"ttl": 1}}), ""),
    ] {
        denied(Side::Server, "reader", method, &sample(more), &format!("{key}{list}"));
    }
    denied(Side::Server, "reader", "roots/list", &json!({}), "methods");
    denied(Side::Server, "stranger", method, &sample(json!({})), "actors");
}

#[test]
fn users_are_asked_by_forms_and_sent_to_urls_within_limits() {
    let (method, key) = ("elicitation/create", "methods.elicitation/create");
    let form = |field: &str| {
        let mut properties = serde_json::Map::new();
        properties.insert(field.to_owned(), json!({"type": "string"}));
        json!({"message": "m", "requestedSchema": {"type": "object", "properties": properties}})
    };
    let url = |url: &str| json!({"mode": "url", "message": "m", "elicitationId": "1", "url": url});
    allowed(Side::Server, "reader", method, &form("name"));
    let field = form("your_Password");
    denied(Side::Server, "reader", method, &field, &format!("{key}.denied_fields[0]"));
    allowed(Side::Server, "reader", method, &url("https://login.example.com/a"));
    let elsewhere = url("https://login.example.com.evil.example/a");
    denied(Side::Server, "reader", method, &elsewhere, &format!("{key}.allowed_urls"));
    denied(Side::Server, "reader", method, &url("file:///etc/passwd"), key);
    denied(Side::Server, "reader", method, &json!({"mode": "telepathy"}), key);
    denied(Side::Server, "reader", method, &json!({"mode": "form"}), key);
    // Without limits there are forms alone.
    let policy = policy("actors: [{id: a}]\nmethods: {allow: [elicitation/create]}\n");
    let decide = |params: Value| {
        let params = params.as_object().expect("an object");
        let asked = Asked { actor: "a", method, params, resolve: &str::to_owned };
        decide_method(&policy, Side::Server, asked).action
    };
    assert_eq!(decide(form("anything")), Action::Allow);
    assert_eq!(decide(url("https://login.example.com/a")), Action::Deny);
}

#[test]
fn an_answer_asks_for_what_its_server_could_ask() {
    let policy = policy(POLICY);
    let decide =
        |answer: Result<Value, Value>| decide_answer(&policy, "reader", &answer, &str::to_owned);
    let asks = |requests: Value| {
        Ok(json!({"resultType": "input_required", "inputRequests": requests, "requestState": "s"}))
    };
    assert_eq!(decide(Ok(json!({"content": []}))), None);
    assert_eq!(decide(Ok(json!({"resultType": "input_required", "requestState": "s"}))), None);
    let sample = json!({"method": "sampling/createMessage", "params": {"maxTokens": 1}});
    let good = decide(asks(json!({"a": sample}))).expect("asks");
    assert_eq!(good.action, Action::Allow, "{good:?}");
    let many: serde_json::Map<_, _> = (0..40).map(|n| (n.to_string(), sample.clone())).collect();
    for bad in [
        asks(json!({"a": sample, "b": {"method": "roots/list"}})),
        asks(json!({"a": {"method": "sampling/createMessage", "params": {"maxTokens": 1000}}})),
        asks(json!({"a": {"method": "resources/read", "params": {"uri": "memo://notes/a"}}})),
        asks(json!({"a": {"Method": "roots/list"}})),
        asks(json!([sample])),
        asks(Value::Object(many)),
        Ok(json!({"InputRequests": {}})),
        Ok(json!({"resultType": "complete", "inputRequests": {"b": {"method": "roots/list"}}})),
        Err(json!({"code": -32042, "message": "m"})),
    ] {
        let decision = decide(bad.clone()).expect("asks");
        assert_eq!(decision.action, Action::Deny, "{bad:?}");
    }
    let send = |url: &str| {
        let one = json!({"mode": "url", "elicitationId": "1", "url": url, "message": "m"});
        decide(Err(json!({"code": -32042, "message": "m", "data": {"elicitations": [one]}})))
    };
    assert_eq!(send("https://login.example.com/a").map(|d| d.action), Some(Action::Allow));
    assert_eq!(send("https://evil.example/a").map(|d| d.action), Some(Action::Deny));
    assert_eq!(decide(Err(json!({"code": -32602, "message": "m"}))), None);
}

#[test]
fn mistakes_are_named_with_their_place() {
    for (text, key) in [
        ("methods: {allow: [resource/read]}", "methods.allow[0]"),
        ("methods: {deny: [ping]}", "methods.deny[0]"),
        (
            "methods: {resources/read: {allowed_uris: ['memo://**', '/srv']}}",
            "methods.resources/read.allowed_uris[1]",
        ),
        (
            "methods: {resources/read: {denied_uris: ['file://host/**']}}",
            "methods.resources/read.denied_uris[0]",
        ),
        (
            "methods: {resources/read: {denied_paths: [../x]}}",
            "methods.resources/read.denied_paths[0]",
        ),
        (
            "methods: {prompts/get: {allowed_prompts: ['[']}}",
            "methods.prompts/get.allowed_prompts[0]",
        ),
        (
            "methods: {elicitation/create: {allowed_urls: [x]}}",
            "methods.elicitation/create.allowed_urls[0]",
        ),
        (
            "methods: {prompts/get: {rate_limit: {max_calls_per_hour: 1000000}}}",
            "methods.prompts/get.rate_limit.max_calls_per_hour",
        ),
        (
            "actors: [{id: a, methods: {prompts/get: {effects: {read: [a]}}}}]",
            "actors[0].methods.prompts/get.effects",
        ),
        (
            "actors: [{id: a, methods: {prompts/get: {rate_limit: {max_calls_per_hour: 1}}}}]",
            "actors[0].methods.prompts/get.rate_limit",
        ),
    ] {
        let file: PolicyFile = serde_yaml::from_str(text).expect(text);
        let problem = Policy::compile(&file, "/srv").expect_err(text);
        assert_eq!(problem.key, key, "{}", problem.message);
    }
}

#[test]
fn what_can_hardly_be_meant_is_remarked_on() {
    let keys = |text: &str| -> Vec<String> {
        let file: PolicyFile = serde_yaml::from_str(text).expect("policy");
        method_remarks(&file).into_iter().map(|remark| remark.key).collect()
    };
    assert!(keys(POLICY).iter().all(|key| key == "methods.allow[4]"), "{:?}", keys(POLICY));
    assert_eq!(keys("methods: {prompts/get: {}}"), ["methods.prompts/get"]);
    let text = "{methods: {prompts/get: {}}, actors: [{id: a, methods: {allow: [prompts/*]}}]}";
    assert!(keys(text).is_empty());
    assert_eq!(
        keys("{methods: {deny: [prompts/*]}, actors: [{id: a, methods: {allow: [prompts/get]}}]}"),
        ["actors[0].methods.allow[0]"]
    );
}

proptest! {
    /// Whatever encodings a URI wears, what leaves the allowed tree is never read.
    #[test]
    fn no_file_outside_is_read(tail in r"(\.|%2e|%2E|%252e|/|%2f|a|\.\.|;|%00|\\|%5c){0,12}") {
        let decision = read(&format!("file:///srv/data/{tail}"));
        if decision.action == Action::Allow {
            for path in &decision.paths {
                let inside = path.real == "/srv/data" || path.real.starts_with("/srv/data/");
                prop_assert!(inside, "{} {}", tail, path.real);
            }
        }
    }

    /// A denied name is denied in every spelling that decodes to it.
    #[test]
    fn spellings_of_a_denied_uri_are_denied(mask in 0_u8..64, twice in any::<bool>()) {
        let name: String = "secret".chars().enumerate().map(|(n, c)| {
            let percent = if twice { "%25" } else { "%" };
            if mask >> n & 1 == 1 { format!("{percent}{:02x}", u32::from(c)) } else { c.to_string() }
        }).collect();
        prop_assert_eq!(read(&format!("memo://notes/{name}")).action, Action::Deny);
    }
}
