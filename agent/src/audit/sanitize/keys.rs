//! What the name of a value says about it: `X-Api-Key` names a secret, `max_tokens` a number, and
//! `mobile` a telephone number.
//!
//! A name is reduced to its lower-case letters, with a note of where its words begin. Stems are then
//! searched for in that text; most must end where a word ends and some must begin where one
//! begins, so that `dbpassword` and `accessToken` are found and `monkey`, `tokenizer` and
//! `api_keyboard` are not.

use std::sync::{Arc, OnceLock};

use aho_corasick::{AhoCorasick, AhoCorasickKind, BuildError};

use super::name::Name;

/// What the name of a value says about the value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Nothing.
    #[default]
    Plain,
    /// It is a secret.
    Secret,
    /// It is a secret unless it is a number: `tokens`.
    SecretText,
    /// Digits in it are a telephone number.
    Phone,
    /// Digits in it are a payment card number.
    Card,
    /// Digits in it are a social security number.
    Ssn,
}

/// Where in a name a stem counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Anywhere, even in the middle of a word.
    Anywhere,
    /// Where its end is the end of a word.
    WordEnd,
    /// As one or more whole words.
    Words,
    /// As the last words of the name.
    LastWords,
}

use Meaning::{Card, Phone, Secret, SecretText, Ssn};
use Place::{Anywhere, LastWords, WordEnd, Words};

/// Stems, without separators, in the order of precedence.
const STEMS: &[(&str, Place, Meaning)] = &[
    ("password", Anywhere, Secret),
    ("passwd", Anywhere, Secret),
    ("passphrase", Anywhere, Secret),
    ("passcode", Anywhere, Secret),
    ("passwort", Anywhere, Secret),
    ("kennwort", Anywhere, Secret),
    ("contraseña", Anywhere, Secret),
    ("contrasena", Anywhere, Secret),
    ("motdepasse", Anywhere, Secret),
    ("пароль", Anywhere, Secret),
    ("密码", Anywhere, Secret),
    ("パスワード", Anywhere, Secret),
    ("senha", Words, Secret),
    ("credential", Anywhere, Secret),
    ("creds", WordEnd, Secret),
    ("secret", WordEnd, Secret),
    ("secrets", WordEnd, Secret),
    ("secretkey", WordEnd, Secret),
    ("secretaccesskey", WordEnd, Secret),
    ("secretvalue", WordEnd, Secret),
    ("token", WordEnd, Secret),
    ("tokens", WordEnd, SecretText),
    ("apikey", WordEnd, Secret),
    ("apikeys", WordEnd, Secret),
    ("apitoken", WordEnd, Secret),
    ("appkey", WordEnd, Secret),
    ("accesskey", WordEnd, Secret),
    ("accountkey", WordEnd, Secret),
    ("privatekey", WordEnd, Secret),
    ("privkey", WordEnd, Secret),
    ("signingkey", WordEnd, Secret),
    ("encryptionkey", WordEnd, Secret),
    ("decryptionkey", WordEnd, Secret),
    ("masterkey", WordEnd, Secret),
    ("authkey", WordEnd, Secret),
    ("authcode", WordEnd, Secret),
    ("hmackey", WordEnd, Secret),
    ("sharedkey", WordEnd, Secret),
    ("presharedkey", WordEnd, Secret),
    ("sessionkey", WordEnd, Secret),
    ("storagekey", WordEnd, Secret),
    ("subscriptionkey", WordEnd, Secret),
    ("consumerkey", WordEnd, Secret),
    ("deploykey", WordEnd, Secret),
    ("sshkey", WordEnd, Secret),
    ("recoverykey", WordEnd, Secret),
    ("recoverycode", WordEnd, Secret),
    ("recoverycodes", WordEnd, Secret),
    ("recoveryphrase", WordEnd, Secret),
    ("seedphrase", WordEnd, Secret),
    ("mnemonic", Words, Secret),
    ("authorization", WordEnd, Secret),
    ("authorisation", WordEnd, Secret),
    ("auth", LastWords, Secret),
    ("cookie", LastWords, Secret),
    ("cookies", LastWords, Secret),
    ("bearer", Words, Secret),
    ("jwt", Words, Secret),
    ("pass", LastWords, Secret),
    ("pwd", LastWords, Secret),
    ("pin", LastWords, Secret),
    ("otp", LastWords, Secret),
    ("cvv", Words, Secret),
    ("cvc", Words, Secret),
    ("ssn", Words, Ssn),
    ("socialsecurity", Anywhere, Ssn),
    ("taxid", WordEnd, Ssn),
    ("phone", Anywhere, Phone),
    ("mobile", Words, Phone),
    ("fax", Words, Phone),
    ("card", Words, Card),
];

/// More stems for telephones and cards, which need no place of their own.
const HINTS: &[(&str, Place, Meaning)] = &[
    ("tel", Words, Phone),
    ("cellular", Words, Phone),
    ("msisdn", Words, Phone),
    ("whatsapp", Words, Phone),
    ("telefon", Anywhere, Phone),
    ("téléphone", Anywhere, Phone),
    ("creditcard", WordEnd, Card),
    ("cardnumber", WordEnd, Card),
    ("ccnumber", WordEnd, Card),
    ("pan", Words, Card),
];

/// First words after which a name no longer means the secret itself.
const ABOUT_FIRST: &[&str] = &[
    "max",
    "min",
    "num",
    "has",
    "is",
    "use",
    "uses",
    "with",
    "require",
    "requires",
    "requiring",
    "count",
    "total",
    "enable",
    "show",
];

/// Last words after which a name no longer means the secret itself.
const ABOUT_LAST: &[&str] = &[
    "count",
    "counts",
    "length",
    "len",
    "size",
    "limit",
    "limits",
    "max",
    "min",
    "total",
    "used",
    "usage",
    "budget",
    "type",
    "url",
    "uri",
    "endpoint",
    "expiry",
    "expires",
    "expiration",
    "ttl",
    "policy",
    "enabled",
    "required",
    "requirements",
    "strength",
    "name",
];

/// Knows what names mean.
#[derive(Clone)]
pub(super) struct Names {
    stems: AhoCorasick,
    known: Arc<[(Place, Meaning, usize)]>,
}

impl Names {
    /// With more stems that mean a secret, as a person writes them. Those without more are the same for all.
    pub(super) fn new(more: &[String]) -> Result<Self, BuildError> {
        static BUILT_IN: OnceLock<Names> = OnceLock::new();
        if !more.is_empty() {
            return Self::build(more);
        }
        if let Some(names) = BUILT_IN.get() {
            return Ok(names.clone());
        }
        let names = Self::build(more)?;
        Ok(BUILT_IN.get_or_init(|| names).clone())
    }

    fn build(more: &[String]) -> Result<Self, BuildError> {
        let more: Vec<String> = more.iter().map(|word| Name::new(word).text).collect();
        let entries: Vec<(&str, Place, Meaning)> = STEMS
            .iter()
            .chain(HINTS)
            .copied()
            .chain(more.iter().filter(|w| !w.is_empty()).map(|w| (w.as_str(), Words, Secret)))
            .collect();
        let stems = AhoCorasick::builder()
            .kind(Some(AhoCorasickKind::DFA))
            .build(entries.iter().map(|(stem, ..)| *stem))?;
        let known = entries.iter().map(|(s, place, meaning)| (*place, *meaning, s.len())).collect();
        Ok(Self { stems, known })
    }

    /// What a name means.
    pub(super) fn meaning(&self, name: &str) -> Meaning {
        let name = Name::new(name);
        let best = self
            .stems
            .find_overlapping_iter(&name.text)
            .filter_map(|found| {
                let (place, meaning, length) = self.known.get(found.pattern().as_usize())?;
                let counts = match place {
                    Anywhere => true,
                    WordEnd => name.ends_word(found.end()),
                    Words => name.begins_word(found.start()) && name.ends_word(found.end()),
                    LastWords => name.begins_word(found.start()) && found.end() == name.text.len(),
                };
                counts.then_some((*meaning, *length))
            })
            .min_by_key(|(meaning, length)| (rank(*meaning), std::cmp::Reverse(*length)));
        match best {
            Some((Secret | SecretText, _)) if is_about(&name) => Meaning::Plain,
            Some((meaning, _)) => meaning,
            None => Meaning::Plain,
        }
    }
}

/// Whether `PWD` means the working directory, as it does in every environment.
pub(super) fn is_directory(name: &str, value: Option<&str>) -> bool {
    ["pwd", "oldpwd"].iter().any(|pwd| name.eq_ignore_ascii_case(pwd))
        && value.is_some_and(|value| value.starts_with(['/', '~']))
}

/// Which meaning wins: a plural that may be a count never hides a plain secret.
fn rank(meaning: Meaning) -> u8 {
    match meaning {
        Meaning::Secret => 0,
        Meaning::SecretText => 1,
        Meaning::Ssn => 2,
        Meaning::Card => 3,
        Meaning::Phone => 4,
        Meaning::Plain => 5,
    }
}

/// Whether a name means a fact about a secret: `max_token`, `token_type`, `has_password`.
fn is_about(name: &Name) -> bool {
    let text = name.text.as_str();
    let begins = |word: &str| text.starts_with(word) && name.begins_word(word.len());
    let ends = |word: &str| text.ends_with(word) && name.begins_word(text.len() - word.len());
    ABOUT_FIRST.iter().any(|word| begins(word)) || ABOUT_LAST.iter().any(|word| ends(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names::new(&["badge number".to_owned()]).expect("builds")
    }

    #[test]
    fn secrets_have_many_names() {
        let names = names();
        for name in [
            "password",
            "db_password",
            "DBPassword",
            "dbpassword",
            "PASSWORD",
            "user.password",
            "passwordHash",
            "apiKey",
            "api_key",
            "X-Api-Key",
            "x-api-key",
            "APIKEY",
            "APIKey",
            "openai_api_key",
            "token",
            "accessToken",
            "refresh-token",
            "authtoken",
            "client_secret",
            "clientSecret",
            "SECRET_KEY",
            "AWS_SECRET_ACCESS_KEY",
            "aws_session_token",
            "private_key",
            "ssh-private-key",
            "Authorization",
            "Proxy-Authorization",
            "basic_auth",
            "auth",
            "Set-Cookie",
            "credentials",
            "creds",
            "passphrase",
            "pin",
            "cvv2",
            "user_pin",
            "badgeNumber",
            "old_badge_number",
            "oauth2Token",
            "mot-de-passe",
            "contraseña",
            "密码",
            "api_keys",
            "password1",
            "pass",
            "db_pass",
            "AccountKey",
            "SharedAccessKey",
            "jwt",
        ] {
            assert_eq!(names.meaning(name), Secret, "{name}");
        }
        assert_eq!(names.meaning("tokens"), SecretText);
    }

    #[test]
    fn other_names_are_no_secrets() {
        let names = names();
        for name in [
            "",
            "key",
            "monkey",
            "keyboard",
            "api_keyboard",
            "tokenizer",
            "tokenizer_count",
            "max_tokens",
            "maxTokens",
            "token_count",
            "token_type",
            "tokenUsage",
            "secretary",
            "primary_key",
            "public_key",
            "sort_key",
            "path",
            "passenger",
            "compass",
            "bypass",
            "passed",
            "spin",
            "pinned",
            "author",
            "authors",
            "authority",
            "auth_method",
            "has_password",
            "password_policy",
            "secret_name",
            "cookie_banner",
            "discard",
            "badge",
            "number",
            "company",
            "span",
            "panel",
            "hotel",
            "keywords",
            "tokenize",
            "page",
        ] {
            assert_eq!(names.meaning(name), Meaning::Plain, "{name}");
        }
    }

    #[test]
    fn numbers_are_hinted_at() {
        let names = names();
        for (name, meaning) in [
            ("phone", Phone),
            ("phoneNumber", Phone),
            ("mobile", Phone),
            ("home_tel", Phone),
            ("card", Card),
            ("creditCard", Card),
            ("card_number", Card),
            ("ssn", Ssn),
            ("socialSecurityNumber", Ssn),
            ("tax_id", Ssn),
        ] {
            assert_eq!(names.meaning(name), meaning, "{name}");
        }
    }

    #[test]
    fn a_long_name_is_judged_by_its_end() {
        let names = names();
        assert_eq!(names.meaning(&format!("{}_password", "é".repeat(5_000))), Secret);
        assert_eq!(names.meaning(&format!("password_{}", "x".repeat(5_000))), Meaning::Plain);
    }
}
