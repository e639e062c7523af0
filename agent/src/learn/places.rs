//! Many paths as few globs.

use std::collections::BTreeMap;

use super::evidence::Evidence;
use super::glob::{literal, tree};
use super::item::{Item, Unit};
use super::material::{Material, below};
use super::review;

/// Paths and where each was seen.
pub(super) type Paths = BTreeMap<String, Evidence>;

/// More paths than this in one place are named by their directory.
const MOST: usize = 8;

/// Directories that hold what belongs to many, so nothing is named by a directory right below them.
const COMMON: [&str; 6] = ["/home", "/root", "/var", "/run", "/tmp", "/usr"];
/// Directories below which every file is named by itself.
const NEVER: [&str; 4] = ["/etc", "/proc", "/sys", "/dev"];

/// Paths that callers named: one as it is, several in one place by their common directory.
pub(super) fn named(material: &Material, paths: &Paths, unit: Unit) -> Vec<Item> {
    let mut items = Vec::new();
    for (place, group) in groups(material, paths) {
        let outside = place.is_outside && !material.roots.is_empty();
        let mut made = if group.len() > 1 && place.can_be_named {
            vec![directory(material, &group, unit)]
        } else {
            each(material, &group, unit)
        };
        for item in made.iter_mut().filter(|_| outside) {
            item.review.push("outside the server's directory".to_owned());
        }
        items.append(&mut made);
    }
    sorted(items)
}

/// Paths that were touched: each as it is, unless there are many in one place.
pub(super) fn touched(material: &Material, paths: &Paths, unit: Unit) -> Vec<Item> {
    let mut items = Vec::new();
    for (place, group) in groups(material, paths) {
        if group.len() > MOST && place.can_be_named {
            let mut item = directory(material, &group, unit);
            item.review.push(format!("{} files of it were seen", group.len()));
            items.push(item);
        } else {
            items.append(&mut each(material, &group, unit));
        }
    }
    sorted(items)
}

fn each(material: &Material, group: &BTreeMap<&str, &Evidence>, unit: Unit) -> Vec<Item> {
    let item = |(path, from): (&&str, &&Evidence)| {
        let mut item = material.item(literal(path), from, unit);
        item.review.extend(review::path(path).map(str::to_owned));
        item
    };
    group.iter().map(item).collect()
}

fn directory(material: &Material, group: &BTreeMap<&str, &Evidence>, unit: Unit) -> Item {
    let mut from = Evidence::default();
    for evidence in group.values() {
        from.merge(evidence);
    }
    let common = common(group.keys().copied());
    let mut item = material.item(tree(&common), &from, unit);
    for path in group.keys() {
        if let Some(why) = review::path(path) {
            item.review.push(format!("{why}: {}", path.escape_debug()));
        }
    }
    item
}

fn sorted(mut items: Vec<Item>) -> Vec<Item> {
    items.sort_by(|a, b| a.text().cmp(b.text()));
    items
}

/// What paths have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    top: String,
    is_outside: bool,
    /// Whether the directory that its paths have in common may stand for them.
    can_be_named: bool,
}

/// Paths by place: within the server's directory by the first component there, elsewhere by their
/// directory.
fn groups<'a>(
    material: &Material,
    paths: &'a Paths,
) -> BTreeMap<Place, BTreeMap<&'a str, &'a Evidence>> {
    let mut groups: BTreeMap<Place, BTreeMap<&str, &Evidence>> = BTreeMap::new();
    for (path, from) in paths {
        groups.entry(place(material, path)).or_default().insert(path, from);
    }
    groups
}

fn place(material: &Material, path: &str) -> Place {
    if let Some(root) = material.root_of(path) {
        let inside = below(path, root).unwrap_or_default();
        let first = inside.split('/').next().unwrap_or_default();
        let top = format!("{}/{first}", root.trim_end_matches('/'));
        return Place { top, is_outside: false, can_be_named: !first.is_empty() };
    }
    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    let depth = parent.matches('/').count();
    let shared = COMMON.iter().any(|top| below(parent, top).is_some());
    let never = NEVER.iter().any(|top| below(parent, top).is_some());
    // `/opt/server` is somebody's own, `/etc/ssl` and `/home/ann` are not.
    let can_be_named = !never && depth >= if shared { 4 } else { 2 };
    let top = if shared {
        parent.to_owned()
    } else {
        parent.split('/').take(4).collect::<Vec<_>>().join("/")
    };
    Place { top, is_outside: true, can_be_named }
}

/// The directory that holds all of these: one of them, when the others are below it.
fn common<'a>(mut paths: impl Iterator<Item = &'a str>) -> String {
    let mut common: Vec<&str> = paths.next().unwrap_or_default().split('/').collect();
    let mut alone = true;
    for path in paths {
        alone = false;
        let same = common.iter().zip(path.split('/')).take_while(|(a, b)| *a == b).count();
        common.truncate(same);
    }
    if alone {
        common.pop();
    }
    common.join("/")
}

#[cfg(test)]
mod tests {
    use super::super::evidence::Place as At;
    use super::*;

    fn globs(paths: &[&str], of: fn(&Material, &Paths, Unit) -> Vec<Item>) -> Vec<String> {
        let material = Material { roots: ["/srv".to_owned()].into(), ..Material::default() };
        let seen = Evidence::of(At { file: 0, seq: 1 });
        let paths = paths.iter().map(|path| ((*path).to_owned(), seen.clone())).collect();
        of(&material, &paths, Unit::Call).iter().map(|item| item.text().to_owned()).collect()
    }

    #[test]
    fn one_path_is_itself_and_several_are_their_directory() {
        assert_eq!(globs(&["/srv/a/x"], named), ["/srv/a/x"]);
        assert_eq!(globs(&["/srv/a/x", "/srv/a/b/y"], named), ["/srv/a/**"]);
        assert_eq!(globs(&["/srv/a", "/srv/a/b"], named), ["/srv/a/**"]);
        assert_eq!(
            globs(&["/srv/a/b/x", "/srv/a/b/y", "/srv/c"], named),
            ["/srv/a/b/**", "/srv/c"]
        );
    }

    #[test]
    fn the_server_s_directory_is_never_named_whole() {
        assert_eq!(globs(&["/srv/a", "/srv/b", "/srv"], named), ["/srv", "/srv/a", "/srv/b"]);
    }

    #[test]
    fn what_is_shared_by_many_is_not_named_by_its_directory() {
        for paths in [["/etc/hosts", "/etc/passwd"], ["/home/a", "/home/b"], ["/x", "/y"]] {
            assert_eq!(globs(&paths, named), paths, "{paths:?}");
        }
        assert_eq!(globs(&["/opt/app/data/a", "/opt/app/data/b"], named), ["/opt/app/data/**"]);
    }

    #[test]
    fn what_was_touched_stays_exact_until_it_is_much() {
        assert_eq!(globs(&["/srv/a/x", "/srv/a/y"], touched), ["/srv/a/x", "/srv/a/y"]);
        let many: Vec<_> = (0..=MOST).map(|n| format!("/srv/a/{n}")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        assert_eq!(globs(&many, touched), ["/srv/a/**"]);
    }
}
