//! The receivers of the audit log, as configured.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::audit::ship::{LogPlace, Progress, ShipError, Shipper};
use crate::audit::{Alerts, Delivered, Event, Log};
use crate::config::{AuditConfig, Problem, ShipConfig};

/// Checks the receivers, and names their files as seen from the file that names them, which is in `base`.
pub(super) fn check(receivers: &mut [ShipConfig], base: &Path) -> Result<(), Problem> {
    let mut names = BTreeSet::new();
    for (index, receiver) in receivers.iter_mut().enumerate() {
        let key = format!("audit.ship[{index}]");
        receiver.check(&key)?;
        for file in [&mut receiver.ca, &mut receiver.token_file].into_iter().flatten() {
            *file = base.join(&*file);
        }
        if receiver.name == Alerts::NAME {
            let why = "alerts have a cursor of this name; give the receiver another one";
            return Err(Problem::new(format!("{key}.name"), why));
        }
        if !names.insert(receiver.name.clone()) {
            let why = "another receiver has this name, and with it the same cursor";
            return Err(Problem::new(format!("{key}.name"), why));
        }
        Shipper::check(receiver).map_err(|error| {
            let field = error.field();
            let dot = if field.is_empty() { "" } else { "." };
            Problem::new(format!("{key}{dot}{field}"), error.to_string())
        })?;
    }
    Ok(())
}

/// Checks the rules for alerts against the receivers.
pub(super) fn check_alerts(audit: &AuditConfig) -> Result<(), Problem> {
    let told = audit.ship.iter().filter(|receiver| receiver.only.is_some());
    let told: Vec<&str> = told.map(|receiver| receiver.name.as_str()).collect();
    let mut names = BTreeSet::new();
    for (index, rule) in audit.alerts.iter().enumerate() {
        let key = format!("audit.alerts[{index}]");
        rule.check(&key, &told)?;
        if !names.insert(&rule.name) {
            return Err(Problem::new(format!("{key}.name"), "another rule has this name"));
        }
        if let Some(event) = rule.when.event.iter().find(|event| !is_event(event)) {
            let why = format!("no record is of event `{event}`; `warrantd schema record` has them");
            return Err(Problem::new(format!("{key}.when.event"), why));
        }
    }
    Ok(())
}

fn is_event(word: &str) -> bool {
    serde_json::from_value::<Event>(word.into()).is_ok_and(|event| event != Event::Alert)
}

/// How far each receiver has got, by its name.
pub type Receivers = Vec<(String, Arc<Progress>)>;

/// Shippers that run.
#[derive(Debug)]
pub struct Shipping {
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
    progress: Receivers,
}

impl Shipping {
    /// Starts a task for each receiver. Nobody waits for one.
    pub fn start(audit: &AuditConfig, state_dir: &Path, log: &Arc<Log>) -> Result<Self, ShipError> {
        let (stop, stopped) = watch::channel(false);
        let mut shipping = Self { tasks: JoinSet::new(), stop, progress: Vec::new() };
        for receiver in &audit.ship {
            let log = LogPlace { dir: audit.dir.clone(), name: "audit".to_owned() };
            let shipper = Shipper::open(receiver, state_dir, log)?;
            shipping.progress.push((receiver.name.clone(), shipper.progress()));
            shipping.tasks.spawn(shipper.run(stopped.clone()));
        }
        if !audit.alerts.is_empty() {
            let place = LogPlace { dir: audit.dir.clone(), name: "audit".to_owned() };
            let alerts = Alerts::open(&audit.alerts, state_dir, log.clone(), place)?;
            shipping.progress.push((Alerts::NAME.to_owned(), alerts.progress()));
            shipping.tasks.spawn(alerts.run(stopped));
        }
        Ok(shipping)
    }

    /// How far each receiver has got, by name.
    pub fn progress(&self) -> &Receivers {
        &self.progress
    }

    /// Tells the last record that all receivers have; nothing when there are none. Files of the log with
    /// records beyond it must be kept.
    pub fn delivered(&self) -> Delivered {
        let progress = self.progress.clone();
        Arc::new(move || progress.iter().map(|(_, progress)| progress.delivered()).min())
    }

    /// Sends what is left, for some seconds at most, and ends.
    pub async fn finish(mut self) {
        let _ = self.stop.send(true); // Without receivers there is nobody to tell.
        while self.tasks.join_next().await.is_some() {}
    }
}
