//! Programs, with the arguments that they always begin with.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::argument::Argument;
use super::evidence::{Evidence, Place};
use super::item::{Item, Unit};
use super::material::Material;
use super::review;
use crate::audit::is_redacted;
use crate::warrant::Effect;

/// Programs that were run.
#[derive(Debug, Clone, Default)]
pub(super) struct Execs(BTreeMap<String, Ran>);

#[derive(Debug, Clone, Default)]
struct Ran {
    from: Evidence,
    /// What the arguments always began with; `None` when they are not known.
    begins: Option<Vec<String>>,
    review: String,
}

impl Execs {
    /// Takes note of a program that was run.
    pub(super) fn ran(
        &mut self,
        program: String,
        path: &str,
        effect: &Effect,
        arguments: &[Argument],
        at: Place,
    ) {
        let words = words(effect, arguments);
        if let Some(ran) = self.0.get_mut(&program) {
            ran.from.add(at);
            ran.begins = match (ran.begins.take(), words) {
                (Some(known), Some(words)) => {
                    let same = known.into_iter().zip(words).take_while(|(a, b)| a == b);
                    Some(same.map(|(word, _)| word).collect())
                }
                _ => None,
            };
        } else {
            let ran = Ran { from: Evidence::of(at), begins: words, review: review::program(path) };
            self.0.insert(program, ran);
        }
    }

    /// The lines of the policy.
    pub(super) fn items(&self, material: &Material, unit: Unit) -> Vec<Item> {
        let item = |(program, ran): (&String, &Ran)| {
            let value = match &ran.begins {
                Some(words) if !words.is_empty() => json!({ "program": program, "args": words }),
                _ => Value::from(program.clone()),
            };
            let mut item = material.item(value, &ran.from, unit);
            item.review.push(ran.review.clone());
            item
        };
        self.0.iter().map(item).collect()
    }
}

/// The arguments after the program's own name, as templates where they are a call's argument. They end before
/// the first that was taken out of the log; `None` when they may not be all.
fn words(effect: &Effect, arguments: &[Argument]) -> Option<Vec<String>> {
    let (_, words) = effect.argv.split_first()?;
    if effect.argv_cut {
        return None;
    }
    let known = words.iter().take_while(|word| !is_redacted(word) && !word.contains('\u{fffd}'));
    let template = |word: &String| {
        // A short word is one by chance.
        let is =
            |a: &&Argument| word.len() > 2 && matches!(a.texts.as_slice(), [text] if text == word);
        arguments
            .iter()
            .find(is)
            .map_or_else(|| word.clone(), |a| format!("${{arguments.{}}}", a.name))
    };
    let written: Vec<_> = known.take_while(|word| !word.contains("${")).map(template).collect();
    Some(written)
}
