//! What the kernel lets a server do to files at the moment, where policy has it enforced: it reads what
//! its policy lets it read, and changes and runs what the calls in flight may.
//!
//! Rules are about directories by identity, so they are wider than a warrant: a file that may be written
//! opens its directory, where programs put what they replace it with. The verdict judges exactly.

use std::io;
use std::path::{Path, PathBuf};

use crate::kernel::{Access, FileRules, Floor, Reach};
use crate::warrant::{DELETE, Extent, Place, WRITE, Warrant};

/// The rules on files of one session.
pub(super) struct Files {
    root: String,
    /// What holds at any time.
    base: FileRules,
    /// What is opened beside that.
    opened: Vec<Opening>,
}

/// Something that warrants open.
type Opening = (Place, Access);

impl Files {
    /// The rules of a server whose floor is `floor` and whose root is `root`, with nothing opened.
    pub(super) fn new(floor: &Floor, root: &Path) -> io::Result<Self> {
        let always =
            Floor { write: vec![PathBuf::from("/dev/null")], run: Vec::new(), ..floor.clone() };
        let base = FileRules::of(&always)?;
        Ok(Self { root: root.to_string_lossy().into_owned(), base, opened: Vec::new() })
    }

    /// The rules that hold while these warrants do, if they are others than before.
    pub(super) fn change<'a>(
        &mut self,
        warrants: impl Iterator<Item = &'a Warrant>,
    ) -> io::Result<Option<FileRules>> {
        let wanted: Vec<_> = warrants.flat_map(|warrant| openings(warrant, &self.root)).collect();
        if wanted == self.opened {
            return Ok(None);
        }
        let rules = self.rules(&wanted)?;
        self.opened = wanted;
        Ok(Some(rules))
    }

    /// The rules that hold now.
    pub(super) fn now(&self) -> io::Result<FileRules> {
        self.rules(&self.opened)
    }

    fn rules(&self, opened: &[Opening]) -> io::Result<FileRules> {
        let mut rules = self.base.clone();
        opened.iter().try_for_each(|(place, access)| admit(&mut rules, place, *access))?;
        Ok(rules)
    }
}

/// What a warrant lets a server change and run.
fn openings(warrant: &Warrant, root: &str) -> Vec<Opening> {
    // What is renamed over something takes it away.
    let change = Access::WRITE.and(Access::DELETE);
    let changed = warrant.files().iter().filter(|grant| [WRITE, DELETE].contains(&grant.kinds));
    let changed = changed.flat_map(|grant| grant.scope.places(root));
    let run = warrant.runs().iter().flat_map(|grant| grant.program.places(root));
    changed.map(|place| (place, change)).chain(run.map(|place| (place, Access::EXEC))).collect()
}

/// Opens a place, or the nearest directory above it that exists.
fn admit(rules: &mut FileRules, place: &Place, access: Access) -> io::Result<()> {
    let path = Path::new(&place.path);
    if place.extent == Extent::Entry && access == Access::EXEC {
        // Others in its directory are no business of whoever may run it.
        return if path.exists() { rules.allow(path, access, Reach::This) } else { Ok(()) };
    }
    let (wanted, reach) = match place.extent {
        Extent::Below => (path, Reach::Tree),
        Extent::Entry => (path.parent().unwrap_or(path), Reach::Children),
    };
    let there = wanted.ancestors().find(|dir| dir.exists()).unwrap_or(Path::new("/"));
    // The warrant names real paths. A link that has come since leads elsewhere.
    let real = there.canonicalize()?;
    if real != there {
        let why = format!("{} leads to {} now", there.display(), real.display());
        return Err(io::Error::other(why));
    }
    rules.allow(there, access, if there == wanted { reach } else { Reach::Tree })?;
    if place.extent == Extent::Entry && path.is_dir() {
        rules.allow(path, access, Reach::This)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::EffectsSection;
    use crate::policy::Decision;
    use crate::warrant::Rules;

    struct World {
        dir: tempfile::TempDir,
        root: PathBuf,
        files: Files,
    }

    impl World {
        fn new() -> Self {
            let dir = tempfile::tempdir().expect("dir");
            let root = dir.path().canonicalize().expect("real");
            for made in ["in", "out", "other"] {
                fs::create_dir(root.join(made)).expect("made");
            }
            fs::write(root.join("tool"), "").expect("made");
            let floor = Floor { read: vec![root.join("in")], ..Floor::default() };
            let files = Files::new(&floor, &root).expect("rules");
            Self { dir, root, files }
        }

        fn warrant(&self, effects: &str) -> Warrant {
            let section: EffectsSection =
                serde_yaml::from_str(&format!("tools: {{t: {effects}}}")).expect("effects");
            let rules = Rules::compile(&section, self.root.to_str().expect("UTF-8"));
            let decision = Decision::denied("", "");
            let arguments = serde_json::Map::new();
            rules.expect("compiles").issue(&decision, "t", &arguments).expect("issued")
        }

        fn allowing(&self, path: &str, access: Access, reach: Reach) -> FileRules {
            let mut rules = self.files.base.clone();
            rules.allow(&self.root.join(path), access, reach).expect("allowed");
            rules
        }
    }

    #[test]
    fn what_calls_in_flight_may_change_is_open_and_closes_with_them() {
        let mut world = World::new();
        let warrant = world.warrant("{write: [out/new.md], read: [other/**]}");
        let opened = world.files.change([&warrant].into_iter()).expect("rules").expect("changed");
        let change = Access::WRITE.and(Access::DELETE);
        assert_eq!(opened, world.allowing("out", change, Reach::Children));
        assert!(world.files.change([&warrant].into_iter()).expect("rules").is_none(), "the same");
        let closed = world.files.change(std::iter::empty()).expect("rules").expect("changed");
        assert_eq!(closed, world.files.base);
    }

    #[test]
    fn reading_opens_nothing_more() {
        let mut world = World::new();
        let warrant = world.warrant("{read: [in/**]}");
        assert!(world.files.change([&warrant].into_iter()).expect("rules").is_none());
    }

    #[test]
    fn a_program_opens_itself_and_no_neighbour() {
        let mut world = World::new();
        let warrant = world.warrant("{exec: [tool]}");
        let opened = world.files.change([&warrant].into_iter()).expect("rules").expect("changed");
        assert_eq!(opened, world.allowing("tool", Access::EXEC, Reach::This));
    }

    #[test]
    fn what_does_not_exist_opens_the_nearest_directory_that_does() {
        let mut world = World::new();
        let warrant = world.warrant("{write: [out/a/b/c.md, 'other/**']}");
        let opened = world.files.change([&warrant].into_iter()).expect("rules").expect("changed");
        let change = Access::WRITE.and(Access::DELETE);
        let mut expected = world.allowing("out", change, Reach::Tree);
        expected.allow(&world.root.join("other"), change, Reach::Tree).expect("allowed");
        assert_eq!(opened, expected);
    }

    #[test]
    fn a_link_that_takes_a_directory_s_place_opens_nothing() {
        let mut world = World::new();
        let warrant = world.warrant("{write: [out/new.md]}");
        fs::remove_dir(world.root.join("out")).expect("removed");
        std::os::unix::fs::symlink("/etc", world.root.join("out")).expect("linked");
        assert!(world.files.change([&warrant].into_iter()).is_err());
        assert_eq!(world.files.now().expect("rules"), world.files.base, "{:?}", world.dir);
    }
}
