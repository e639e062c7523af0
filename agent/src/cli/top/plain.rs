//! One picture, without a terminal.

use std::thread;
use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

use super::draw::draw;
use super::feed::{Look, look};
use super::model::Model;
use crate::cli::Failure;
use crate::cli::instances::Instances;

/// Characters of a line where nobody says how many there are.
const WIDTH: u16 = 160;
/// Lines of a picture, at most.
const HEIGHT: u16 = 2000;

/// Looks twice, so that there is something to compare with.
pub(super) fn picture(instances: &Instances, between: Duration) -> Result<Vec<String>, Failure> {
    let mut model = Model::default();
    take(&mut model, instances)?;
    thread::sleep(between);
    take(&mut model, instances)?;
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    Ok(lines(&model, columns.unwrap_or(WIDTH).clamp(40, 1000)))
}

fn take(model: &mut Model, instances: &Instances) -> Result<(), Failure> {
    match look(instances) {
        Look::Nothing(why) | Look::Late(why) | Look::Forbidden(why) => Err(Failure::Other(why)),
        seen @ Look::Seen(_) => {
            model.take(seen);
            Ok(())
        }
    }
}

/// The picture in as many lines as it needs.
pub(super) fn lines(model: &Model, width: u16) -> Vec<String> {
    use super::model::Pane;
    let rows = [Pane::Servers, Pane::Calls, model.third].map(|pane| model.rows(pane).len().max(1));
    // Each table has two lines beside its rows; above them are four at most, below one.
    let height = rows.iter().sum::<usize>() + 3 * 2 + 4 + 1;
    let height = u16::try_from(height).unwrap_or(HEIGHT).min(HEIGHT);
    let area = Rect { x: 0, y: 0, width, height };
    let mut buffer = Buffer::empty(area);
    draw(model, area, &mut buffer);
    let mut lines: Vec<String> = (0..height).map(|y| line(&buffer, y)).collect();
    lines.pop(); // Nobody presses keys.
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines
}

/// A line of a picture.
pub(super) fn line(buffer: &Buffer, y: u16) -> String {
    let mut text = String::new();
    let mut skip = 0;
    for x in 0..buffer.area.width {
        // What is two places wide leaves the next one empty.
        if skip > 0 {
            skip -= 1;
            continue;
        }
        let symbol = buffer.cell((x, y)).map_or(" ", |cell| cell.symbol());
        skip = Span::raw(symbol).width().saturating_sub(1);
        text.push_str(symbol);
    }
    text.truncate(text.trim_end().len());
    text
}
