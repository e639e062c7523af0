//! What the words around a number say about it.

use std::cell::OnceCell;

use super::groups::Run;
use super::keys::Meaning;

/// Bytes before a number that are read.
const BEFORE: usize = 48;

/// Bytes after a number that are read.
const AFTER: usize = 16;

/// How clearly the words name a telephone number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Likelihood {
    /// They do not.
    #[default]
    None,
    /// They speak of reaching somebody, so that digits in groups are one.
    Grouped,
    /// They name one, so that any digits are.
    Any,
}

/// What the words around a number, or the name of the value, say.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Context {
    /// It is a telephone number.
    pub(super) phone: Likelihood,
    /// It is a payment card number.
    pub(super) card: bool,
    /// It is a social security number.
    pub(super) ssn: bool,
}

/// What is around a run, read when it is first asked for.
pub(super) struct Surroundings<'a> {
    text: &'a str,
    run: &'a Run,
    meaning: Meaning,
    context: OnceCell<Context>,
}

impl<'a> Surroundings<'a> {
    pub(super) fn new(text: &'a str, run: &'a Run, meaning: Meaning) -> Self {
        Self { text, run, meaning, context: OnceCell::new() }
    }

    pub(super) fn context(&self) -> Context {
        *self.context.get_or_init(|| Context::read(self.text, self.run, self.meaning))
    }
}

impl Context {
    /// Reads the words around a run.
    fn read(text: &str, run: &Run, meaning: Meaning) -> Self {
        let mut context = Self {
            phone: if meaning == Meaning::Phone { Likelihood::Any } else { Likelihood::None },
            card: meaning == Meaning::Card,
            ssn: meaning == Meaning::Ssn,
        };
        let before = text.get(..run.start).unwrap_or_default();
        let after = text.get(run.end..).unwrap_or_default();
        if meaning == Meaning::Plain {
            context.read_before(last_bytes(before, BEFORE));
            context.read_after(first_bytes(after, AFTER));
        }
        context
    }

    /// The word that is nearest decides.
    fn read_before(&mut self, before: &str) {
        let lower = before.to_lowercase();
        let (mut is_other, mut is_own, mut last) = (false, false, "");
        for word in words(&lower) {
            let likelihood = match class(word) {
                // Signs of a language without blanks.
                _ if SIGNS.iter().any(|sign| word.contains(sign)) => Likelihood::Any,
                Class::Phone => Likelihood::Any,
                Class::Reach => Likelihood::Grouped,
                Class::Number if is_own => Likelihood::Any,
                Class::Number if !is_other => Likelihood::Grouped,
                Class::Card => {
                    self.card = true;
                    Likelihood::None
                }
                Class::Ssn => {
                    self.ssn = true;
                    Likelihood::None
                }
                _ => Likelihood::None,
            };
            if matches!(class(word), Class::Other) {
                (is_other, self.phone) = (true, Likelihood::None);
            } else if likelihood > Likelihood::None {
                (is_other, self.phone) = (false, self.phone.max(likelihood));
            }
            is_own = matches!(word, "my" | "his" | "her" | "your" | "our" | "their");
            last = word;
        }
        // `call 4673395`, `reach me at 4673395`.
        if self.phone == Likelihood::Grouped && leads_to_number(last) {
            self.phone = Likelihood::Any;
        }
        // `Desk: 467 3395`, `h. 467 3395`.
        let head = lower.trim_end().strip_suffix([':', '.']);
        let front = head.and_then(|head| head.strip_suffix(last));
        let is_alone = front.is_some_and(|front| !front.ends_with(['_', '.', ':', '$', '@']));
        if is_alone && matches!(class(last), Class::Label) {
            self.phone = Likelihood::Any;
        }
        if is_sum(&lower) {
            self.phone = Likelihood::None;
        }
    }

    /// `467 3395 office`, `467 3395-Fax`.
    fn read_after(&mut self, after: &str) {
        let lower = after.to_lowercase();
        let next = lower.trim_start_matches([' ', '-', ',', '(', '/', '\u{a0}']);
        if let Some(word) = words(next).next()
            && next.starts_with(word)
            && (matches!(class(word), Class::Phone)
                || (matches!(class(word), Class::Label) && word.len() > 1))
        {
            self.phone = Likelihood::Any;
        }
    }
}

/// Words for telephones in languages that put no blanks between words.
const SIGNS: [&str; 6] = ["电话", "電話", "手机", "手機", "전화", "携帯"];

/// Whether the number of whom one speaks of reaching stands right after this word.
fn leads_to_number(word: &str) -> bool {
    matches!(
        word,
        "at" | "on" | "to" | "is" | "registered" | "under" | "via" | "call" | "dial" | "ring"
    )
}

/// What a word says about the number near it.
enum Class {
    None,
    /// It names a telephone number.
    Phone,
    /// It speaks of reaching somebody.
    Reach,
    /// It says that a number follows.
    Number,
    /// It labels a telephone number where it stands right beside it.
    Label,
    Card,
    Ssn,
    /// It names a number of another kind.
    Other,
}

#[rustfmt::skip]
fn class(word: &str) -> Class {
    match word {
        "phone" | "phones" | "telephone" | "tel" | "mobile" | "mobil" | "cell" | "cellphone" | "fax"
        | "cellular" | "whatsapp" | "msisdn" | "sms" | "hotline" | "landline" | "smartphone"
        | "telefon" | "telefono" | "teléfono" | "telefone" | "téléphone" | "tél" | "telefoon"
        | "telefonnummer" | "handy" | "handynummer" | "rufnummer" | "móvil" | "movil" | "celular"
        | "cellulare" | "portable" | "puhelin" | "telefonszám" | "telefón" | "τηλέφωνο" | "телефон"
        | "тел" | "phonenumber" => Class::Phone,
        "call" | "calls" | "called" | "calling" | "caller" | "dial" | "dialed" | "dialled" | "ring"
        | "text" | "texted" | "message" | "messages" | "messaged" | "answer" | "answering"
        | "answered" | "contact" | "reach" | "reached" | "reachable" | "voicemail" | "appeler"
        | "anrufen" | "llamar" | "chiamare" | "ligar" => Class::Reach,
        "number" | "numbers" | "numero" | "número" | "numéro" | "nummer" => Class::Number,
        "desk" | "office" | "home" | "work" | "business" | "direct" | "main" | "private" | "switchboard"
        | "m" | "t" | "p" | "f" | "h" | "o" | "w" | "c" | "ph" | "mob" => Class::Label,
        "card" | "cards" | "visa" | "mastercard" | "amex" | "maestro" | "discover" | "diners" | "cc"
        | "pan" | "creditcard" | "carte" | "karte" | "tarjeta" | "carta" => Class::Card,
        "ssn" | "itin" | "social" | "taxpayer" => Class::Ssn,
        "license" | "licence" | "account" | "order" | "invoice" | "tracking" | "serial" | "case"
        | "ticket" | "policy" | "passport" | "id" | "ids" | "routing" | "reference" | "ref" | "model"
        | "part" | "version" | "zip" | "postal" | "postcode" | "sku" | "isbn" | "issn" | "doi" | "build"
        | "total" | "amount" | "price" | "sum" | "size" | "bytes" | "population" | "offset" | "timestamp"
        | "commit" | "port" | "row" | "rows" | "line" | "lines" => Class::Other,
        _ => Class::None,
    }
}

/// Whether a currency sign is right before the number.
fn is_sum(before: &str) -> bool {
    before.trim_end().ends_with(['$', '€', '£', '¥', '₹'])
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty())
}

/// At most `count` bytes from the end of a text, without a cut word in front.
fn last_bytes(text: &str, count: usize) -> &str {
    let start = text.len().saturating_sub(count);
    let tail = (start..=text.len()).find_map(|at| text.get(at..)).unwrap_or_default();
    if start == 0 {
        return tail;
    }
    tail.find(|c: char| !c.is_alphabetic()).and_then(|at| tail.get(at..)).unwrap_or_default()
}

/// At most `count` bytes from the start of a text.
fn first_bytes(text: &str, count: usize) -> &str {
    (0..=count.min(text.len())).rev().find_map(|at| text.get(..at)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(before: &str, after: &str) -> Context {
        let text = format!("{before}467 3395{after}");
        let mut run = Run::default();
        assert!(run.read(text.as_bytes(), before.len()));
        Context::read(&text, &run, Meaning::Plain)
    }

    #[test]
    fn the_nearest_word_decides() {
        assert_eq!(read("Phone:\n", "").phone, Likelihood::Any);
        assert_eq!(read("please call me at ", "").phone, Likelihood::Any);
        assert_eq!(read("got a message with ", "").phone, Likelihood::Grouped);
        assert_eq!(read("call about order ", "").phone, Likelihood::None);
        assert_eq!(read("order by phone: ", "").phone, Likelihood::Any);
        assert_eq!(read("my number is ", "").phone, Likelihood::Any);
        assert_eq!(read("the number ", "").phone, Likelihood::Grouped);
        assert_eq!(read("my account number ", "").phone, Likelihood::None);
        assert_eq!(read("phone bill over $", "").phone, Likelihood::None);
        assert_eq!(read("Desk: ", "").phone, Likelihood::Any);
        assert_eq!(read("h. ", "").phone, Likelihood::Any);
        assert_eq!(read("const X: flag_t = ", "").phone, Likelihood::None);
        assert_eq!(read("flag_t: ", "").phone, Likelihood::None);
        assert_eq!(read("on my desk are ", "").phone, Likelihood::None);
        assert_eq!(read("", " office").phone, Likelihood::Any);
        assert_eq!(read("", "-Fax").phone, Likelihood::Any);
        assert_eq!(read("", " of them").phone, Likelihood::None);
        assert_eq!(read("我的电话是", "").phone, Likelihood::Any);
        assert!(read("credit card no ", "").card);
        assert!(read("My SSN: ", "").ssn);
    }
}
