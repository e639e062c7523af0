use serde_json::json;

use super::*;

/// Pins in a directory of their own.
struct Bench {
    dir: tempfile::TempDir,
    pins: Pins,
}

impl Bench {
    fn new(on_change: OnChange, on_new: OnNew) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let file = Some(dir.path().join("files.yaml"));
        let section = PinningSection { on_change, on_new, file };
        Self { pins: Pins::open(Some(&section)).expect("no file yet"), dir }
    }

    fn store(&self) -> Store {
        Store::new(self.dir.path().join("files.yaml"))
    }

    /// As `warrantd pin --accept` does.
    fn accept(&self, name: &str) {
        let seen = self.store().of_seen().load().expect("readable").file.tools[name].clone();
        let done = self.store().update(|file| {
            file.tools.insert(name.to_owned(), seen);
            true
        });
        done.expect("written");
    }
}

#[allow(clippy::unnecessary_wraps, reason = "a page has items that cannot be read, too")]
fn tool(name: &str, description: &str) -> Option<Definition> {
    let item = json!({"name": name, "description": description, "inputSchema": {}});
    Some(Definition::read(&item).expect("a definition"))
}

/// Lists the tools, all on one page.
fn list(pins: &Pins, session: &mut Seen, page: &[Option<Definition>]) -> Met {
    pins.meet(page, (None, None), session, "reader").expect("met")
}

fn told(met: &Met) -> Vec<(What, &str)> {
    met.notices.iter().map(|notice| (notice.what, notice.tool.as_str())).collect()
}

#[test]
fn what_is_seen_first_is_accepted_and_stays_so() {
    let bench = Bench::new(OnChange::Deny, OnNew::Accept);
    let page = [tool("read", "Reads."), tool("write", "Writes.")];
    for _ in 0..2 {
        let mut session = Seen::default();
        assert!(bench.pins.admit("read", &session).is_err(), "not listed yet");
        let met = list(&bench.pins, &mut session, &page);
        assert_eq!(met.usable, [true, true]);
        assert!(told(&met).is_empty());
        assert!(bench.pins.admit("read", &session).is_ok());
    }
    assert_eq!(bench.store().load().expect("readable").definitions.len(), 2);
    assert!(!bench.store().of_seen().file().exists());
}

#[test]
fn a_changed_tool_is_denied_until_it_is_accepted() {
    let bench = Bench::new(OnChange::Deny, OnNew::Accept);
    let (mut early, mut late) = (Seen::default(), Seen::default());
    let _ = list(&bench.pins, &mut early, &[tool("read", "Reads."), tool("write", "Writes.")]);
    let changed = [tool("read", "Reads. Then calls write."), tool("write", "Writes.")];
    let met = list(&bench.pins, &mut late, &changed);
    assert_eq!(met.usable, [false, true]);
    assert_eq!(told(&met), [(What::Changed, "read")]);
    assert!(bench.pins.admit("read", &late).is_err());
    assert!(bench.pins.admit("write", &late).is_ok());
    assert!(bench.pins.admit("read", &early).is_ok(), "its server still says what was accepted");
    assert!(told(&list(&bench.pins, &mut late, &changed)).is_empty(), "told once");
    bench.accept("read");
    assert!(bench.pins.admit("read", &late).is_ok(), "without a restart");
    assert!(bench.pins.admit("read", &early).is_err(), "now the other one is out of date");
    assert_eq!(list(&bench.pins, &mut late, &changed).usable, [true, true]);
}

#[test]
fn a_tool_that_stands_twice_is_not_as_accepted() {
    let bench = Bench::new(OnChange::Deny, OnNew::Accept);
    for page in [
        [tool("read", "Reads."), tool("read", "Sends.")],
        [tool("read", "Sends."), tool("read", "Reads.")],
    ] {
        let mut session = Seen::default();
        let met = list(&bench.pins, &mut session, &page);
        // Of two that are new the first is accepted.
        assert_eq!(
            met.usable,
            [page[0] == tool("read", "Reads."), page[0] != tool("read", "Reads.")]
        );
        assert!(bench.pins.admit("read", &session).is_err());
    }
    let mut session = Seen::default();
    let _ = list(&bench.pins, &mut session, &[tool("read", "Reads."), tool("read", "Reads.")]);
    assert!(bench.pins.admit("read", &session).is_ok(), "the same twice is the same");
}

#[test]
fn a_new_tool_is_denied_where_policy_says_so() {
    let bench = Bench::new(OnChange::Report, OnNew::Deny);
    let mut session = Seen::default();
    let met = list(&bench.pins, &mut session, &[tool("read", "Reads."), None]);
    assert_eq!(met.usable, [false, false]);
    assert_eq!(told(&met), [(What::New, "read")]);
    assert!(bench.pins.admit("read", &session).is_err());
    bench.accept("read");
    assert!(bench.pins.admit("read", &session).is_ok());
}

#[test]
fn reports_deny_nothing() {
    let bench = Bench::new(OnChange::Report, OnNew::Report);
    let mut session = Seen::default();
    assert!(bench.pins.admit("read", &session).is_ok());
    let met = list(&bench.pins, &mut session, &[tool("read", "Reads.")]);
    assert_eq!((met.usable.as_slice(), told(&met)), (&[true][..], vec![(What::New, "read")]));
    let met = list(&bench.pins, &mut session, &[tool("read", "Sends.")]);
    assert_eq!((met.usable.as_slice(), told(&met)), (&[true][..], vec![(What::Changed, "read")]));
    assert!(bench.pins.admit("read", &session).is_ok());
}

#[test]
fn without_a_file_each_change_is_told_once() {
    let pins = Pins::open(None).expect("no file");
    let (mut one, mut two) = (Seen::default(), Seen::default());
    assert!(told(&list(&pins, &mut one, &[tool("read", "Reads."), None])).is_empty());
    let changed = [tool("read", "Sends.")];
    assert_eq!(told(&list(&pins, &mut two, &changed)), [(What::Changed, "read")]);
    assert!(told(&list(&pins, &mut one, &changed)).is_empty(), "the last one counts");
    assert_eq!(told(&list(&pins, &mut two, &[])), [(What::Vanished, "read")]);
    assert!(told(&list(&pins, &mut one, &[])).is_empty(), "nobody misses it any more");
    assert!(pins.admit("read", &one).is_ok() && pins.admit("other", &one).is_ok());
}

#[test]
fn what_vanishes_and_what_reads_alike_is_told() {
    let bench = Bench::new(OnChange::Deny, OnNew::Accept);
    let mut session = Seen::default();
    let first = [tool("read_file", "Reads."), tool("write_file", "Writes.")];
    assert!(told(&list(&bench.pins, &mut session, &first)).is_empty());
    let met = list(
        &bench.pins,
        &mut session,
        &[tool("read_file", "Reads."), tool("reаd_file", "Reads.")],
    );
    assert_eq!(told(&met), [(What::New, "reаd_file"), (What::Vanished, "write_file")]);
    assert_eq!(met.notices[0].similar_to.as_deref(), Some("read_file"));
    let mut pages = Seen::default();
    let met = bench.pins.meet(&first[..1], (None, Some("2")), &mut pages, "reader").expect("met");
    assert!(told(&met).is_empty(), "the next page may have them");
}

#[test]
fn a_broken_file_denies() {
    let bench = Bench::new(OnChange::Report, OnNew::Accept);
    let mut session = Seen::default();
    let page = [tool("read", "Reads.")];
    let _ = list(&bench.pins, &mut session, &page);
    std::fs::write(bench.store().file(), "tools: [").expect("written");
    assert!(bench.pins.admit("read", &session).is_err());
    assert!(bench.pins.meet(&page, (None, None), &mut session, "reader").is_err());
    std::fs::remove_file(bench.store().file()).expect("removed");
    assert!(bench.pins.admit("read", &session).is_ok());
}
