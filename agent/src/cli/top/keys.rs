//! What keys do.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::model::{Model, Over};

/// Lines that a page has.
const PAGE: isize = 10;

/// What is shown with `?`.
pub(super) const HELP: [&str; 14] = [
    "q, Ctrl-C     end",
    "Tab           the next table",
    "v             another table below: peers, sessions, receivers",
    "Up, Down      mark a row; PgUp, PgDn, Home, End",
    "Enter         all about the marked row, such as a call's warrant",
    "Left, Right   sort by another column",
    "r             the other way round",
    "/             show only rows with a text; Esc shows all again",
    "p, Space      stand still, and go on",
    "?             this",
    "",
    "CALLS/S is of the last 5 seconds; P50 and P99 are the times within",
    "which 50 and 99 of 100 calls of the last minute were answered.",
    "All other numbers count from the start of the warrantd.",
];

/// Whether a key ends everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    GoOn,
    End,
}

/// Does what a key asks for.
pub(super) fn press(model: &mut Model, key: KeyEvent) -> Then {
    if key.kind == KeyEventKind::Release {
        return Then::GoOn;
    }
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return if key.code == KeyCode::Char('c') { Then::End } else { Then::GoOn };
    }
    match model.over {
        Over::Filter => write_filter(model, key.code),
        Over::Help => model.over = Over::Nothing,
        Over::Detail(from) => scroll(model, from, key.code),
        Over::Nothing => return look(model, key.code),
    }
    Then::GoOn
}

fn look(model: &mut Model, code: KeyCode) -> Then {
    match code {
        KeyCode::Char('q') => return Then::End,
        KeyCode::Char('?' | 'h') => model.over = Over::Help,
        KeyCode::Char('p' | ' ') => model.paused = !model.paused,
        KeyCode::Char('/') => model.over = Over::Filter,
        KeyCode::Char('r') => model.reverse(),
        KeyCode::Char('s') | KeyCode::Right => model.sort(1),
        KeyCode::Left => model.sort(-1),
        KeyCode::Char('v') => model.next_third(),
        KeyCode::Tab => model.next_pane(),
        KeyCode::Up | KeyCode::Char('k') => model.go(-1),
        KeyCode::Down | KeyCode::Char('j') => model.go(1),
        KeyCode::PageUp => model.go(-PAGE),
        KeyCode::PageDown => model.go(PAGE),
        KeyCode::Home => model.go(isize::MIN),
        KeyCode::End => model.go(isize::MAX),
        KeyCode::Enter => model.show_detail(),
        KeyCode::Esc => model.filter.clear(),
        _ => {}
    }
    Then::GoOn
}

fn write_filter(model: &mut Model, code: KeyCode) {
    match code {
        KeyCode::Enter => model.over = Over::Nothing,
        KeyCode::Esc => {
            model.filter.clear();
            model.over = Over::Nothing;
        }
        KeyCode::Backspace => {
            model.filter.pop();
        }
        KeyCode::Char(c) if model.filter.len() < 100 => model.filter.push(c),
        _ => {}
    }
}

fn scroll(model: &mut Model, from: usize, code: KeyCode) {
    let last = model.detail.len().saturating_sub(1);
    let by = match code {
        KeyCode::Up | KeyCode::Char('k') => -1,
        KeyCode::Down | KeyCode::Char('j') => 1,
        KeyCode::PageUp => -PAGE,
        KeyCode::PageDown => PAGE,
        _ => {
            model.over = Over::Nothing;
            return;
        }
    };
    model.over = Over::Detail(from.saturating_add_signed(by).min(last));
}
