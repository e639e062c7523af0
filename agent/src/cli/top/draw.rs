//! The picture: what is known, in the room that there is.

use ratatui::buffer::Buffer;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{
    Block, Borders, Cell, Clear, Paragraph, Row as TableRow, StatefulWidget, Table, TableState,
    Widget,
};

use super::keys::HELP;
use super::model::{Model, Over, Pane};
use super::table::{Column, Row, Tone};
use super::{header, tables};
use crate::cli::plain::safe;

/// Characters of a line from which on there is room for longer names.
const ROOMY: u16 = 140;
/// Lines of a table beside its rows: its title and the names of its columns.
const AROUND: u16 = 2;

/// Draws everything.
pub(super) fn draw(model: &Model, area: Rect, buffer: &mut Buffer) {
    let head = header::lines(model);
    let head_lines = u16::try_from(head.len()).unwrap_or(u16::MAX);
    let [top, middle, bottom] = Layout::vertical([
        Constraint::Length(head_lines),
        Constraint::Fill(1),
        Constraint::Length(1),
    ])
    .areas(area);
    let lines: Vec<Line> =
        head.into_iter().map(|(tone, text)| Line::styled(text, style(tone))).collect();
    Paragraph::new(lines).render(top, buffer);
    if !model.told.is_empty() {
        draw_tables(model, middle, buffer);
    }
    foot(model).render(bottom, buffer);
    match model.over {
        Over::Help => over("keys", HELP.iter().map(|line| (*line).into()), 0, middle, buffer),
        Over::Detail(from) => {
            let lines = model.detail.iter().map(|line| line.as_str().into());
            over("all about it", lines, from, middle, buffer);
        }
        Over::Nothing | Over::Filter => {}
    }
}

fn draw_tables(model: &Model, area: Rect, buffer: &mut Buffer) {
    let rows = [Pane::Servers, Pane::Calls, model.third].map(|pane| (pane, model.rows(pane)));
    let heights = heights(rows.each_ref().map(|(_, rows)| rows.len()), area.height);
    let areas = Layout::vertical(heights.map(Constraint::Length)).split(area);
    for ((pane, rows), area) in rows.into_iter().zip(areas.iter()) {
        draw_table(model, pane, rows, *area, buffer);
    }
}

/// How high each table is. A table has room for all its rows where there is; else each has a third of the room
/// or what it needs, and what is left over goes to those that need more.
pub(super) fn heights(rows: [usize; 3], room: u16) -> [u16; 3] {
    let need =
        rows.map(|rows| u16::try_from(rows.max(1)).unwrap_or(u16::MAX).saturating_add(AROUND));
    let mut heights = need.map(|need| need.min(room / 3));
    for (height, need) in heights.iter_mut().zip(need) {
        *height = need.min(*height);
    }
    // Calls first: they are what is not seen elsewhere.
    for table in [1, 0, 2] {
        let used: u16 = heights.iter().sum();
        let more = room.saturating_sub(used).min(need[table].saturating_sub(heights[table]));
        heights[table] += more;
    }
    heights
}

fn draw_table(model: &Model, pane: Pane, rows: Vec<Row>, area: Rect, buffer: &mut Buffer) {
    let order = model.order(pane);
    let focused = model.focus == pane;
    let shown: Vec<(usize, &Column)> = tables::columns(pane)
        .iter()
        .enumerate()
        .filter(|(_, column)| column.from <= area.width)
        .collect();
    let mark = |index| match (index == order.column, order.reverse) {
        (true, false) => "▾",
        (true, true) => "▴",
        (false, _) => "",
    };
    let names = shown
        .iter()
        .map(|(index, column)| aligned(format!("{}{}", column.name, mark(*index)), column.right));
    let last = shown.len().saturating_sub(1);
    let widths = shown.iter().enumerate().map(|(at, (index, column))| {
        let name = u16::try_from(column.name.len()).unwrap_or(0);
        let marked = name + u16::from(*index == order.column);
        if at == last {
            Constraint::Min(column.width)
        } else {
            Constraint::Length(roomy(column, area.width).max(marked))
        }
    });
    let selected = model.selected(pane, rows.len());
    let count = rows.len();
    let lines = rows.into_iter().map(|row| {
        let style = style(row.tone);
        let mut cells: Vec<_> = row.cells.into_iter().map(Some).collect();
        let cell = |(index, column): &(usize, &Column)| {
            let text = cells.get_mut(*index).and_then(Option::take).map(|cell| cell.text);
            aligned(text.unwrap_or_default(), column.right)
        };
        TableRow::new(shown.iter().map(cell).collect::<Vec<_>>()).style(style)
    });
    let title = format!(" {} ", title(pane, count));
    let border = if focused { Style::new().add_modifier(Modifier::BOLD) } else { Style::new() };
    let header =
        TableRow::new(names.collect::<Vec<_>>()).style(Style::new().add_modifier(Modifier::DIM));
    let marked = if focused { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() };
    let table = Table::new(lines.collect::<Vec<_>>(), widths.collect::<Vec<_>>())
        .header(header)
        .row_highlight_style(marked)
        .block(Block::new().borders(Borders::TOP).border_style(border).title(title));
    let mut state = TableState::new().with_selected(selected);
    StatefulWidget::render(table, area, buffer, &mut state);
}

/// The width of a column: names have half as much again where there is room.
fn roomy(column: &Column, width: u16) -> u16 {
    let is_name = !column.right && (12..=32).contains(&column.width);
    if is_name && width >= ROOMY { column.width * 3 / 2 } else { column.width }
}

fn title(pane: Pane, count: usize) -> String {
    let name = match pane {
        Pane::Servers => "servers",
        Pane::Calls => "calls in flight",
        Pane::Peers => "peers",
        Pane::Sessions => "sessions",
        Pane::Receivers => "receivers of the audit log",
    };
    format!("{name} {count}")
}

fn aligned(text: String, right: bool) -> Cell<'static> {
    let alignment = if right { Alignment::Right } else { Alignment::Left };
    Cell::new(Line::from(text).alignment(alignment))
}

/// The line below: the filter, or what one may do.
fn foot(model: &Model) -> Line<'static> {
    let dim = Style::new().add_modifier(Modifier::DIM);
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let filter = safe(&model.filter);
    let mut spans = Vec::new();
    if model.paused {
        spans.push(Span::styled("STANDS STILL  ", bold));
    }
    match model.over {
        Over::Filter => spans.push(Span::styled(format!("only rows with: {filter}_"), bold)),
        _ if !filter.is_empty() => {
            spans.push(Span::styled(format!("only rows with `{filter}`, Esc for all  "), bold));
        }
        _ => {}
    }
    if model.over != Over::Filter {
        let keys = "q end  ? keys  Tab table  v other table  / filter  p stand still  Enter all";
        spans.push(Span::styled(keys, dim));
    }
    Line::from(spans)
}

/// A box over the tables.
fn over<'a>(
    title: &'a str,
    lines: impl Iterator<Item = Line<'a>>,
    from: usize,
    area: Rect,
    buffer: &mut Buffer,
) {
    let lines: Vec<Line> = lines.collect();
    let wide = lines.iter().map(Line::width).max().unwrap_or_default();
    let side = |size: usize| u16::try_from(size).unwrap_or(u16::MAX).saturating_add(2);
    let (width, height) = (side(wide + 2).min(area.width), side(lines.len()).min(area.height));
    let place = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    };
    Clear.render(place, buffer);
    let block = Block::bordered().title(format!(" {title} "));
    let inside = block.inner(place);
    block.render(place, buffer);
    let page = usize::from(inside.height);
    let from = from.min(lines.len().saturating_sub(page));
    let lines: Vec<Line> = lines.into_iter().skip(from).take(page).collect();
    Paragraph::new(lines).render(inside, buffer);
}

/// Colours only repeat what words say.
fn style(tone: Tone) -> Style {
    match tone {
        Tone::Plain => Style::new(),
        Tone::Odd => Style::new().fg(Color::Yellow),
        Tone::Bad => Style::new().fg(Color::Red).add_modifier(Modifier::BOLD),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_goes_to_those_that_need_it() {
        assert_eq!(heights([2, 0, 1], 30), [4, 3, 3], "there is room for all");
        assert_eq!(heights([100, 100, 100], 30), [10, 10, 10]);
        assert_eq!(heights([1, 100, 1], 30), [3, 24, 3]);
        assert_eq!(heights([100, 0, 100], 30), [17, 3, 10]);
        assert_eq!(heights([5, 5, 5], 0), [0, 0, 0]);
    }
}
