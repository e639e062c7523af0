//! Reading the files of clients.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User};

use super::Failure;
use crate::discover::{
    Account, ClientFile, Found, HOME_FILES, PROJECT_FILES, SYSTEM_FILES, Unread, accounts, read,
};

/// Longest file that is read, in bytes: some clients keep their history in the same one.
const MAX_FILE: u64 = 32 << 20;
/// Projects that are looked into.
const MAX_PROJECTS: usize = 1000;

/// The servers in the files of clients.
#[derive(Debug, Default)]
pub(in crate::cli) struct Files {
    pub(in crate::cli) found: Vec<Found>,
    pub(super) unread: Vec<Unread>,
    /// Files that were looked into already.
    seen: BTreeSet<PathBuf>,
}

impl Files {
    /// Looks into the homes (without any: of all users that may be looked into) and projects.
    pub(in crate::cli) fn read(homes: &[PathBuf], projects: &[PathBuf]) -> Result<Self, Failure> {
        let mut files = Self::default();
        let users = if homes.is_empty() {
            known_users()
        } else {
            homes.iter().map(|home| owner(home)).collect::<Result<_, _>>()?
        };
        for user in &users {
            files.look(user, projects);
        }
        if homes.is_empty() {
            for file in SYSTEM_FILES {
                files.add(file, Path::new(file.path), None, None);
            }
        }
        Ok(files)
    }

    /// Looks into a user's home, and into the projects that its files speak of.
    fn look(&mut self, user: &Account, projects: &[PathBuf]) {
        let mut spoken_of = BTreeSet::new();
        for file in HOME_FILES {
            spoken_of.extend(self.add(
                file,
                &Path::new(&user.home).join(file.path),
                Some(user),
                None,
            ));
        }
        let named =
            projects.iter().filter(|dir| owner(dir).is_ok_and(|owner| owner.uid == user.uid));
        let spoken_of = spoken_of.into_iter().map(PathBuf::from).filter(|dir| dir.is_absolute());
        for project in named.cloned().chain(spoken_of).take(MAX_PROJECTS) {
            // A home may be a project, too.
            for file in PROJECT_FILES {
                self.add(file, &project.join(file.path), Some(user), Some(&project));
            }
        }
    }

    /// Reads a file, if it is there, and gives the projects that it speaks of.
    fn add(
        &mut self,
        file: &ClientFile,
        path: &Path,
        account: Option<&Account>,
        project: Option<&Path>,
    ) -> BTreeSet<String> {
        if !self.seen.insert(path.to_owned()) {
            return BTreeSet::new();
        }
        let place = path.display().to_string();
        let reading = match text(path, account.map(|account| account.uid)) {
            Ok(None) => return BTreeSet::new(),
            Ok(Some(text)) => read(file, &text),
            Err(why) => Err(why),
        };
        let mut unread = |why| self.unread.push(Unread { file: place.clone(), why });
        let reading = match reading {
            Ok(reading) => reading,
            Err(why) => {
                unread(why);
                return BTreeSet::new();
            }
        };
        reading.unread.into_iter().for_each(unread);
        let project = project.map(|project| project.display().to_string());
        self.found.extend(reading.entries.into_iter().map(|placed| Found {
            account: account.cloned(),
            client: file.client,
            file: place.clone(),
            syntax: file.syntax,
            key: placed.key,
            project: placed.project.or_else(|| project.clone()),
            entry: placed.entry,
        }));
        reading.projects
    }
}

/// Root looks at all users, others at themselves.
fn known_users() -> Vec<Account> {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let mut users = accounts(&passwd);
    // Users of a directory service are not in the file, but have a home.
    for home in fs::read_dir("/home").into_iter().flatten().flatten() {
        if let Ok(user) = owner(&home.path())
            && users.iter().all(|known| known.home != user.home)
        {
            users.push(user);
        }
    }
    let own = Uid::effective();
    users.retain(|user| own.is_root() || user.uid == own.as_raw());
    let mut homes = BTreeSet::new();
    users.retain(|user| Path::new(&user.home).is_dir() && homes.insert(user.home.clone()));
    users
}

/// The user to whom a directory belongs, with the directory as its home.
fn owner(dir: &Path) -> Result<Account, Failure> {
    let failed = |error: std::io::Error| {
        Failure::Usage(format!("cannot look into {}: {error}", dir.display()))
    };
    let dir = dir.canonicalize().map_err(failed)?;
    let uid = fs::metadata(&dir).map_err(failed)?.uid();
    let name = User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| user.name);
    let name = name.unwrap_or_else(|| uid.to_string());
    Ok(Account { name, uid, home: dir.display().to_string() })
}

/// The text of a file; nothing when there is none. Whatever lies there was put there by its user: a pipe is not
/// waited for, and a link to another user's file is not followed to its end.
fn text(path: &Path, owner: Option<u32>) -> Result<Option<String>, String> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    let file = match options.open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(error.to_string()),
    };
    let about = file.metadata().map_err(|error| error.to_string())?;
    if !about.is_file() {
        return Err("it is no regular file".to_owned());
    }
    if owner.is_some_and(|owner| about.uid() != owner && about.uid() != 0) {
        return Err(format!("it belongs to another user, with the number {}", about.uid()));
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(format!("it has more than {MAX_FILE} bytes"));
    }
    String::from_utf8(bytes).map(Some).map_err(|_| "it is no UTF-8".to_owned())
}
