//! What is known, and how somebody wants to see it.

use super::feed::Look;
use super::history::History;
use super::table::{Order, Row, arrange};
use super::tables;
use crate::serve::Overview;

/// A table on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pane {
    Servers,
    Calls,
    Peers,
    Sessions,
    Receivers,
}

impl Pane {
    /// Those of which one at a time is on the screen, below the others.
    pub(super) const THIRD: [Self; 3] = [Self::Peers, Self::Sessions, Self::Receivers];

    const fn index(self) -> usize {
        match self {
            Self::Servers => 0,
            Self::Calls => 1,
            Self::Peers => 2,
            Self::Sessions => 3,
            Self::Receivers => 4,
        }
    }
}

/// How a pane is seen.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    order: Order,
    /// The row that is marked.
    selected: usize,
}

/// What stands over the tables.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Over {
    #[default]
    Nothing,
    Help,
    /// Everything about a row, from a line on.
    Detail(usize),
    /// The filter is being written.
    Filter,
}

/// Everything that the screen shows.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) told: Vec<(String, Overview)>,
    pub(super) history: History,
    /// Why nothing is told, or why it is late.
    pub(super) silence: Option<String>,
    pub(super) paused: bool,
    pub(super) filter: String,
    pub(super) over: Over,
    /// Everything about a row, as it was when that was asked for.
    pub(super) detail: Vec<String>,
    pub(super) focus: Pane,
    pub(super) third: Pane,
    seen: [Seen; 5],
}

impl Default for Model {
    fn default() -> Self {
        let mut model = Self {
            told: Vec::new(),
            history: History::default(),
            silence: Some("looking".to_owned()),
            paused: false,
            filter: String::new(),
            over: Over::default(),
            detail: Vec::new(),
            focus: Pane::Servers,
            third: Pane::Peers,
            seen: [Seen::default(); 5],
        };
        for pane in [Pane::Servers, Pane::Calls, Pane::Peers, Pane::Sessions, Pane::Receivers] {
            model.seen_mut(pane).order.column = tables::first_order(pane);
        }
        model
    }
}

impl Model {
    /// Takes in a look. What stands still on the screen while it is paused is counted all the same.
    pub(super) fn take(&mut self, look: Look) {
        match look {
            Look::Seen(told) => {
                self.history.retain(&told);
                for (name, overview) in &told {
                    self.history.add(name, overview);
                }
                if !self.paused {
                    (self.told, self.silence) = (told, None);
                }
            }
            Look::Late(why) => self.silence = Some(why),
            Look::Nothing(why) | Look::Forbidden(why) => {
                self.history.retain(&[]);
                (self.told, self.silence) = (Vec::new(), Some(why));
            }
        }
    }

    /// The rows of a pane as they are shown.
    pub(super) fn rows(&self, pane: Pane) -> Vec<Row> {
        arrange(tables::rows(self, pane), self.order(pane), &self.filter)
    }

    /// How a pane is sorted.
    pub(super) fn order(&self, pane: Pane) -> Order {
        self.seen(pane).order
    }

    /// Sorts the pane by another column: so many to the right.
    pub(super) fn sort(&mut self, by: isize) {
        let columns = tables::columns(self.focus).len().max(1);
        let order = &mut self.seen_mut(self.focus).order;
        order.column = order.column.checked_add_signed(by).unwrap_or(columns - 1) % columns;
    }

    /// Turns the order of the pane round.
    pub(super) fn reverse(&mut self) {
        let order = &mut self.seen_mut(self.focus).order;
        order.reverse = !order.reverse;
    }

    /// Marks another row of the pane, so many below.
    pub(super) fn go(&mut self, by: isize) {
        let rows = self.rows(self.focus).len();
        let seen = self.seen_mut(self.focus);
        seen.selected = seen.selected.saturating_add_signed(by).min(rows.saturating_sub(1));
    }

    /// The marked row of a pane, of so many that there are now.
    pub(super) fn selected(&self, pane: Pane, rows: usize) -> Option<usize> {
        rows.checked_sub(1).map(|last| self.seen(pane).selected.min(last))
    }

    /// Shows everything about the marked row.
    pub(super) fn show_detail(&mut self) {
        let mut rows = self.rows(self.focus);
        if let Some(selected) = self.selected(self.focus, rows.len()) {
            self.detail = rows.swap_remove(selected).detail;
            self.over = Over::Detail(0);
        }
    }

    /// Goes on to the next pane.
    pub(super) fn next_pane(&mut self) {
        self.focus = match self.focus {
            Pane::Servers => Pane::Calls,
            Pane::Calls => self.third,
            _ => Pane::Servers,
        };
    }

    /// Shows another table below the others.
    pub(super) fn next_third(&mut self) {
        let focused = self.focus == self.third;
        let at = Pane::THIRD.iter().position(|pane| *pane == self.third).unwrap_or_default();
        self.third = Pane::THIRD[(at + 1) % Pane::THIRD.len()];
        if focused {
            self.focus = self.third;
        }
    }

    fn seen(&self, pane: Pane) -> &Seen {
        &self.seen[pane.index()]
    }

    fn seen_mut(&mut self, pane: Pane) -> &mut Seen {
        &mut self.seen[pane.index()]
    }
}
