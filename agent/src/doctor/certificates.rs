//! Certificates in PEM files, and for how long they hold.

use std::path::Path;

use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::finding::Finding;

/// A certificate that ends within this many days must be renewed now.
const URGENT: i64 = 14;
/// The same, where it is worth a thought.
const SOON: i64 = 30;
const DAY: i64 = 86_400;

/// Says of the certificates in a file how long they hold, by the one that ends first. `what` says what they are
/// for; `place` is where the configuration names them.
pub(super) fn check(what: &str, file: &Path, place: &str, now: Timestamp) -> Finding {
    let shown = file.display();
    let spans = match spans(file) {
        Ok(spans) => spans,
        Err(why) => {
            return Finding::bad(format!("{what} {shown} cannot be used: {why}"))
                .at(place)
                .todo("give a file with certificates in PEM");
        }
    };
    let now = now.as_second();
    let from = spans.iter().map(|(from, _)| *from).max().unwrap_or(i64::MIN);
    let until = spans.iter().map(|(_, until)| *until).min().unwrap_or(i64::MAX);
    let day = |second| date(second);
    let left = (until - now).div_euclid(DAY);
    let (finding, todo) = if now < from {
        let what = format!("{what} {shown} does not hold before {}", day(from));
        (Finding::bad(what), "take one that holds already, or set the clock right")
    } else if now >= until {
        (Finding::bad(format!("{what} {shown} has expired on {}", day(until))), "renew it")
    } else if left < URGENT {
        let what = format!("{what} {shown} expires in {left} days, on {}", day(until));
        (Finding::bad(what), "renew it; the file is read anew when it changes")
    } else if left < SOON {
        let what = format!("{what} {shown} expires in {left} days, on {}", day(until));
        (Finding::note(what), "renew it; the file is read anew when it changes")
    } else {
        return Finding::ok(format!("{what} {shown} holds until {}", day(until))).at(place);
    };
    finding.at(place).todo(todo)
}

/// From when and until when each certificate of a file holds, in seconds since 1970.
fn spans(file: &Path) -> Result<Vec<(i64, i64)>, String> {
    let pem = std::fs::read(file).map_err(|error| error.to_string())?;
    let mut spans = Vec::new();
    for der in CertificateDer::pem_slice_iter(&pem) {
        let der = der.map_err(|error| error.to_string())?;
        let (_, certificate) =
            X509Certificate::from_der(&der).map_err(|_| "it is no certificate".to_owned())?;
        let validity = certificate.validity();
        spans.push((validity.not_before.timestamp(), validity.not_after.timestamp()));
    }
    if spans.is_empty() { Err("it has no certificate".to_owned()) } else { Ok(spans) }
}

/// The day of a second since 1970.
pub(super) fn date(second: i64) -> String {
    let at = Timestamp::from_second(second).ok();
    at.map_or_else(
        || "a day that is out of range".to_owned(),
        |at| at.strftime("%Y-%m-%d").to_string(),
    )
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::PathBuf;

    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::super::finding::Level;
    use super::*;

    /// Writes a certificate of the year 2030 and its key into a directory.
    pub(in crate::doctor) fn write(dir: &Path) -> (PathBuf, PathBuf) {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        params.not_before = date_time_ymd(2030, 1, 1);
        params.not_after = date_time_ymd(2030, 12, 31);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        let (cert, key_file) = (dir.join("cert.pem"), dir.join("key.pem"));
        std::fs::write(&cert, certificate.pem()).expect("written");
        std::fs::write(&key_file, key.serialize_pem()).expect("written");
        (cert, key_file)
    }

    pub(in crate::doctor) fn day(text: &str) -> Timestamp {
        format!("{text}T12:00:00Z").parse().expect("a day")
    }

    #[test]
    fn a_certificate_is_told_to_be_renewed_in_time() {
        let dir = tempfile::tempdir().expect("dir");
        let (cert, _) = write(dir.path());
        for (at, level, says) in [
            ("2029-12-30", Level::Finding, "does not hold before 2030-01-01"),
            ("2030-06-01", Level::Ok, "holds until 2030-12-31"),
            ("2030-12-10", Level::Note, "expires in 20 days"),
            ("2030-12-25", Level::Finding, "expires in 5 days, on 2030-12-31"),
            ("2031-01-01", Level::Finding, "has expired on 2030-12-31"),
        ] {
            let finding = check("the certificate", &cert, "here", day(at));
            assert_eq!(finding.level, level, "{at}: {finding:?}");
            assert!(finding.what.contains(says), "{at}: {}", finding.what);
        }
    }

    #[test]
    fn what_is_no_certificate_is_found() {
        let dir = tempfile::tempdir().expect("dir");
        let (_, key) = write(dir.path());
        for file in [key, dir.path().join("absent")] {
            let finding = check("the certificate", &file, "here", day("2030-06-01"));
            assert!(finding.level == Level::Finding && finding.todo.is_some(), "{finding:?}");
        }
    }
}
