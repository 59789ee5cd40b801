//! Lines of cells as `kubectl describe` aligns them: a column is as wide as its longest cell in the lines above
//! and below that have it too, and two spaces more; the last cell of a line belongs to no column.

use std::io::{self, Write};

const PADDING: usize = 2;

/// Lines to be aligned and printed.
#[derive(Debug, Default)]
pub struct Tabs {
    lines: Vec<Vec<String>>,
    shift: usize,
}

impl Tabs {
    /// Sets all that is added from now on so many steps further to the right.
    pub fn shift(&mut self, steps: usize) {
        self.shift = steps;
    }

    /// Adds a line of cells, `level` steps to the right.
    pub fn line<'c>(&mut self, level: usize, cells: impl IntoIterator<Item = &'c str>) {
        let mut cells: Vec<String> = cells.into_iter().map(str::to_owned).collect();
        if let Some(first) = cells.first_mut() {
            first.insert_str(0, &"  ".repeat(self.shift + level));
        }
        self.lines.push(cells);
    }

    /// Adds `name:` and a value of one line or of several, which stand below each other.
    pub fn field(&mut self, level: usize, name: &str, value: &str) {
        let title = format!("{name}:");
        let mut lines = value.lines();
        self.line(level, [title.as_str(), lines.next().unwrap_or_default()]);
        for more in lines {
            self.line(level, ["", more]);
        }
    }

    /// Adds `name:` alone, with what belongs to it in the lines that follow.
    pub fn title(&mut self, level: usize, name: &str) {
        self.line(level, [format!("{name}:").as_str()]);
    }

    /// Prints all.
    pub fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let widths = self.widths();
        for (line, widths) in self.lines.iter().zip(&widths) {
            let mut text = String::new();
            for (index, cell) in line.iter().enumerate() {
                match widths.get(index) {
                    Some(width) => text.push_str(&format!("{cell:<width$}")),
                    None => text.push_str(cell),
                }
            }
            writeln!(out, "{}", text.trim_end())?;
        }
        Ok(())
    }

    /// For each line the width of each of its cells but the last.
    fn widths(&self) -> Vec<Vec<usize>> {
        let columns = |line: &[String]| line.len().saturating_sub(1);
        let mut widths: Vec<Vec<usize>> = self.lines.iter().map(|line| vec![0; columns(line)]).collect();
        let most = widths.iter().map(Vec::len).max().unwrap_or(0);
        for column in 0..most {
            // Lines in a row that have the column share its width.
            for block in self.blocks(column) {
                let cells = self.lines[block.clone()]
                    .iter()
                    .filter_map(|line| line.get(column));
                let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
                for line in &mut widths[block] {
                    line[column] = widest + PADDING;
                }
            }
        }
        widths
    }

    fn blocks(&self, column: usize) -> Vec<std::ops::Range<usize>> {
        let mut blocks: Vec<std::ops::Range<usize>> = Vec::new();
        for (index, line) in self.lines.iter().enumerate() {
            if line.len() <= column + 1 {
                continue;
            }
            match blocks.last_mut().filter(|block| block.end == index) {
                Some(block) => block.end += 1,
                None => blocks.push(index..index + 1),
            }
        }
        blocks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_as_wide_as_the_lines_around_need_it() {
        let mut tabs = Tabs::default();
        tabs.field(0, "Name", "web");
        tabs.field(0, "Service Account", "default");
        tabs.field(0, "Labels", "a=b\nc=d");
        tabs.title(0, "Containers");
        tabs.field(1, "Image", "busybox");
        tabs.line(1, ["Type", "Reason", "Message"]);
        let mut out = Vec::new();
        tabs.print(&mut out).unwrap();
        let expected = "\
Name:             web
Service Account:  default
Labels:           a=b
                  c=d
Containers:
  Image:  busybox
  Type    Reason  Message
";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
