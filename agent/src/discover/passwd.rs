//! Users of the host (passwd(5)).

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Its number.
    pub uid: u32,
    /// Its home directory.
    pub home: String,
}

/// The users in a text such as `/etc/passwd`. Lines that are none are passed over.
pub fn accounts(text: &str) -> Vec<Account> {
    let account = |line: &str| {
        let fields: Vec<_> = line.split(':').collect();
        let [name, _, uid, _, _, home, _] = fields.as_slice() else { return None };
        let absolute = home.starts_with('/') && home.len() > 1;
        let (name, home) = ((*name).to_owned(), home.trim_end_matches('/').to_owned());
        absolute.then_some(Account { name, uid: uid.parse().ok()?, home })
    };
    text.lines().filter_map(account).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_with_a_home_are_read() {
        let text = "root:x:0:0:root:/root:/bin/bash\nbad line\nnobody:x:65534:65534::/:/x\n\
                    ada:x:1000:1000:Ada,,,:/home/ada/:/bin/sh\n+::::::\n";
        let users = accounts(text);
        let read: Vec<_> = users.iter().map(|user| (user.uid, user.home.as_str())).collect();
        assert_eq!(read, [(0, "/root"), (1000, "/home/ada")]);
    }
}
