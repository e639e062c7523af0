//! Notifications of the server: whom they concern.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::clients::{ClientKey, Key};
use super::conversation::Conversation;
use crate::mcp::{Id, Splice};
use crate::transport::Route;

/// By which a notification of the modern era says for which `subscriptions/listen` request it is.
const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

/// Resources that clients of a shared connection want to hear of.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    by_uri: HashMap<String, Vec<ClientKey>>,
}

impl Subscriptions {
    pub(super) fn add(&mut self, client: ClientKey, uri: &str) {
        let clients = self.by_uri.entry(uri.to_owned()).or_default();
        if !clients.contains(&client) {
            clients.push(client);
        }
    }

    pub(super) fn remove(&mut self, client: ClientKey, uri: &str) {
        if let Some(clients) = self.by_uri.get_mut(uri) {
            clients.retain(|other| *other != client);
        }
    }

    pub(super) fn forget(&mut self, client: ClientKey) {
        self.by_uri.retain(|_, clients| {
            clients.retain(|other| *other != client);
            !clients.is_empty()
        });
    }

    fn of(&self, uri: &str) -> Vec<ClientKey> {
        self.by_uri.get(uri).cloned().unwrap_or_default()
    }
}

impl Conversation {
    /// Carries a notification to whom it concerns. One that might concern several clients, and that could
    /// tell one of them what another one's call did, is carried to nobody.
    pub(super) async fn notify(
        &mut self,
        from: Option<ClientKey>,
        method: &str,
        params: &Map<String, Value>,
        line: Vec<u8>,
    ) {
        if method == "notifications/progress" {
            if let Some((key, line)) = self.progress(from, params, &line) {
                return self.send(key.client, line, Route::About(key.id)).await;
            }
            if self.shared && from.is_none() {
                return;
            }
        }
        if !self.shared || from.is_some() {
            let Some(client) = from.or_else(|| self.clients.keys().next().copied()) else { return };
            let general =
                method.ends_with("/list_changed") || method == "notifications/resources/updated";
            let usual = if general { Route::General } else { self.route(client) };
            let route = self.listener(client, params).unwrap_or(usual);
            return self.send(client, line, route).await;
        }
        if let Some(id) = subscription(params).and_then(|id| Id::from_value(&id)) {
            let key = self.meant(None, &id).filter(|key| self.may_hear(key.client, method));
            let Some(key) = key else { return };
            let mut splice = Splice::new(&line);
            splice.set_id(&["params", "_meta", SUBSCRIPTION], &key.id);
            let line = splice.finish();
            return self.send(key.client, line, Route::About(key.id)).await;
        }
        if !method.ends_with("/list_changed") && method != "notifications/resources/updated" {
            // What is said while one client alone waits is said to it.
            if let Some(client) = self.only_caller().filter(|client| self.may_hear(*client, method))
            {
                let route = self.route(client);
                self.send(client, line, route).await;
            }
            return;
        }
        let clients: Vec<ClientKey> = if method.ends_with("/list_changed") {
            self.clients.keys().copied().collect()
        } else {
            let uri = params.get("uri").and_then(Value::as_str).unwrap_or_default();
            self.subscriptions.of(uri)
        };
        for client in
            clients.into_iter().filter(|client| self.may_hear(*client, method)).collect::<Vec<_>>()
        {
            let Some(modern) = self.clients.get(&client).map(|client| client.modern) else {
                continue;
            };
            if !modern {
                self.send(client, line.clone(), Route::General).await;
                continue;
            }
            for id in self.listeners(client, method) {
                let meta = json!({ SUBSCRIPTION: id.to_value() }).to_string();
                let mut splice = Splice::new(&line);
                if !splice.insert(&["params"], &[("_meta", meta.clone())]) {
                    splice.insert(&[], &[("params", format!("{{\"_meta\":{meta}}}"))]);
                }
                let line = splice.finish();
                self.send(client, line, Route::About(id)).await;
            }
        }
    }

    /// The requests by which a client of the modern era listens for what this notification tells.
    fn listeners(&self, client: ClientKey, method: &str) -> Vec<Id> {
        let wants = match method {
            "notifications/tools/list_changed" => "toolsListChanged",
            "notifications/prompts/list_changed" => "promptsListChanged",
            "notifications/resources/list_changed" => "resourcesListChanged",
            _ => "resourceSubscriptions",
        };
        let of_client = self.gate.of_client(client);
        let listening = of_client.filter(|(_, request)| {
            let wanted = request.listens.as_ref().and_then(|listens| listens.get(wants));
            wanted.is_some_and(|wanted| wanted.is_array() || wanted == &Value::Bool(true))
        });
        listening.map(|(key, _)| key.id.clone()).collect()
    }

    /// The client that alone has calls in flight.
    fn only_caller(&self) -> Option<ClientKey> {
        let mut calling = self.gate.callers();
        let first = calling.next()?;
        calling.all(|other| other == first).then_some(first)
    }

    /// The stream on which a client hears of something that names no request: that of its newest call,
    /// which is likely to be what caused it.
    pub(super) fn route(&self, client: ClientKey) -> Route {
        let waiting = self.gate.of_client(client);
        let waiting = waiting.filter(|(_, request)| request.task.is_none() && !request.standing);
        let newest = waiting.max_by_key(|(_, request)| (request.call.is_some(), request.begun));
        newest.map_or(Route::General, |(key, _)| Route::About(key.id.clone()))
    }

    /// The `subscriptions/listen` request that a notification is for.
    fn listener(&self, client: ClientKey, params: &Map<String, Value>) -> Option<Route> {
        let id = Id::from_value(&subscription(params)?)?;
        self.gate.request(&Key { client, id: id.clone() })?.standing.then_some(Route::About(id))
    }
}

fn subscription(params: &Map<String, Value>) -> Option<Value> {
    params.get("_meta")?.get(SUBSCRIPTION).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_hears_of_what_it_asked_for() {
        let mut subscriptions = Subscriptions::default();
        let (a, b) = (ClientKey(1), ClientKey(2));
        subscriptions.add(a, "x");
        subscriptions.add(b, "x");
        subscriptions.add(a, "x");
        assert_eq!(subscriptions.of("x"), [a, b]);
        subscriptions.remove(a, "x");
        assert_eq!(subscriptions.of("x"), [b]);
        subscriptions.forget(b);
        assert!(subscriptions.of("x").is_empty() && subscriptions.by_uri.is_empty());
    }
}
