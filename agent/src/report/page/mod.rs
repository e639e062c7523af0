//! The report as one HTML file that needs nothing else.
//!
//! Its content security policy allows its own style and script, by their hashes, and nothing else: no image, no
//! font, no connection, no form, and no markup made by script. Without script all of it can be read; with it, records
//! can be filtered.

mod cards;
mod chart;
mod clock;
mod commands;
// What the macro of templates' filters makes of a function is public, takes references and may fail.
#[allow(
    unreachable_pub,
    clippy::inline_always,
    clippy::trivially_copy_pass_by_ref,
    clippy::unnecessary_wraps,
    clippy::unused_self
)]
mod filters;
mod records;
mod sections;
mod sessions;

use askama::Template;
use data_encoding::BASE64;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use self::cards::Cards;
use self::chart::Chart;
use self::clock::{moment, span};
use self::commands::Commands;
use self::records::Records;
use self::sections::{Chains, Denied, Left, Reached, Service, Tiles, Verdicts};
use self::sessions::Lanes;
use super::attention::headline;
use super::foreign::Foreign;
use super::incident::Target;
use super::point::{Piece, Point, Urgency};
use super::reading::{Report, ReportError};

const STYLE: &str = include_str!("../../../templates/report/style.css");
const SCRIPT: &str = include_str!("../../../templates/report/script.js");

/// What a page says of itself.
#[derive(Debug, Clone)]
pub struct About {
    /// The log as it was named, for commands that show more of it.
    pub logs: Vec<String>,
    /// The public key's file as it was named.
    pub key: Option<String>,
    /// When the report was written.
    pub written: Timestamp,
}

#[derive(Template)]
#[template(path = "report/page.html")]
struct Page<'a> {
    policy: String,
    style: &'static str,
    script: &'static str,
    version: &'static str,
    written: String,
    kind: &'static str,
    /// For the window's title.
    name: String,
    title: Vec<Piece>,
    under: Vec<Piece>,
    mood: &'static str,
    headline: String,
    points: Vec<Point>,
    tiles: Tiles,
    chart: Option<Chart>,
    lanes: Option<Lanes>,
    cards: Cards<'a>,
    denied: Denied<'a>,
    reached: Reached<'a>,
    verdicts: Verdicts<'a>,
    service: Service<'a>,
    chains: Chains<'a>,
    records: Records<'a>,
    left: Left,
}

impl Report {
    /// The report as HTML.
    pub fn page(&self, about: &About) -> Result<String, ReportError> {
        let commands = Commands::new(self, about);
        let points = self.points();
        let (kind, title, under) = self.titles();
        let plain = |pieces: &[Piece]| -> String {
            let text = |piece: &Piece| match piece {
                Piece::Words(words) => words.clone(),
                Piece::Said(said) => said.plain(),
            };
            pieces.iter().map(text).collect()
        };
        let page = Page {
            policy: policy(),
            style: STYLE,
            script: SCRIPT,
            version: env!("CARGO_PKG_VERSION"),
            written: moment(about.written),
            kind,
            name: plain(&title),
            mood: points.first().map_or("calm", |point| match point.urgency {
                Urgency::Act => "act",
                Urgency::Look => "look",
                Urgency::Know => "calm",
            }),
            headline: headline(&points, &self.facts.calls),
            points,
            title,
            under,
            tiles: Tiles::new(self),
            chart: Chart::new(&self.facts.timeline),
            lanes: Lanes::new(self),
            cards: Cards::new(self, &commands),
            denied: Denied::new(self),
            reached: Reached::new(self),
            verdicts: Verdicts::new(self),
            service: Service::new(self),
            chains: Chains::new(self, &commands),
            records: Records::new(self, &commands),
            left: Left::new(self, &commands),
        };
        Ok(page.render()?)
    }

    /// What kind of report it is, what it is about, and from when to when.
    fn titles(&self) -> (&'static str, Vec<Piece>, Vec<Piece>) {
        let words = |text: String| Piece::Words(text);
        let time = match (&self.window, &self.facts.span) {
            (Some((from, to)), _) => span(*from, *to),
            (None, Some((from, to))) => match (from.as_str().parse(), to.as_str().parse()) {
                (Ok(from), Ok(to)) => span(from, to),
                _ => "no time".to_owned(),
            },
            (None, None) => "no record".to_owned(),
        };
        let Some((target, around)) = &self.asked.incident else {
            let scope = &self.asked.scope;
            let asked = match (scope.since, scope.until) {
                (Some(since), Some(until)) => span(since, until),
                (Some(since), None) => format!("Since {}", moment(since)),
                (None, Some(until)) => format!("Until {}", moment(until)),
                (None, None) => "The whole log".to_owned(),
            };
            let mut under = vec![words(format!("Records from {time}"))];
            for (name, of) in [("actor", &scope.actor), ("server", &scope.server)] {
                if let Some(of) = of {
                    under.push(words(format!(" · {name} ")));
                    under.push(Piece::Said(of.as_str().into()));
                    under.push(words(" and the daemon itself".to_owned()));
                }
            }
            return ("Audit report", vec![words(asked)], under);
        };
        let title = match target {
            Target::Id(id) => vec![words("Incident ".to_owned()), Piece::Said(id.as_str().into())],
            Target::Record(seq) => vec![words(format!("Record #{seq}"))],
            Target::Alert(None) => vec![words("The last alert".to_owned())],
            Target::Alert(Some(rule)) => {
                vec![words("Alert ".to_owned()), Piece::Said(Foreign::from(rule.as_str()))]
            }
        };
        let seconds = around.as_secs();
        let around =
            format!("{time} · the incident, its sessions, and {seconds} s before and after it");
        ("Incident report", title, vec![words(around)])
    }
}

/// What the page may do. It says nothing of being framed, which a document cannot forbid itself.
fn policy() -> String {
    let hash = |text: &str| format!("'sha256-{}'", BASE64.encode(&Sha256::digest(text)));
    format!(
        "default-src 'none'; style-src {}; script-src {}; base-uri 'none'; form-action 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'",
        hash(STYLE),
        hash(SCRIPT)
    )
}

#[cfg(test)]
mod tests;
