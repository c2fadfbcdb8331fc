//! What is wrong with the user's file, where, and how to mend it; and how that is shown.

use super::source::Excerpt;
use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError};
use miette::{MietteSpanContents, SourceCode, SourceSpan, SpanContents};
use std::fmt;

/// How many faults are shown; a file with more is not a config.
pub(super) const FAULTS_MAX: usize = 100;

/// One thing wrong with the user's file. No text in it repeats a value.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Where in the tree: `server.listen[0].tls`; empty for the file itself.
    pub path: String,
    /// From 1; 0 where the file itself is at fault.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    pub what: String,
    pub fix: String,
    pub(super) excerpt: Option<Excerpt>,
}

/// Every fault of a file, in the order of its lines; never empty.
#[derive(Clone, Debug)]
pub struct Faults {
    name: String,
    list: Vec<Fault>,
}

impl Faults {
    pub(super) fn new(name: &str, mut list: Vec<Fault>) -> Self {
        list.sort_by_key(|fault| (fault.line, fault.column));
        Self {
            name: name.to_owned(),
            list,
        }
    }

    /// A fault of the file itself, before a line of it was read.
    pub(super) fn of_file(name: &str, what: &str, fix: &str) -> Self {
        let fault = Fault {
            path: String::new(),
            line: 0,
            column: 0,
            what: format!("{name}: {what}"),
            fix: fix.to_owned(),
            excerpt: None,
        };
        Self::new(name, vec![fault])
    }

    pub fn list(&self) -> &[Fault] {
        &self.list
    }

    /// One line a fault, for where lines are read: `FILE:LINE:COLUMN: PATH: WHAT; FIX`.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.list.iter().take(FAULTS_MAX).map(|fault| {
            let Fault { what, fix, .. } = fault;
            match (fault.line, fault.path.as_str()) {
                (0, _) => format!("{what}; {fix}"),
                (line, "") => format!("{}:{line}:{}: {what}; {fix}", self.name, fault.column),
                (line, path) => {
                    format!(
                        "{}:{line}:{}: {path}: {what}; {fix}",
                        self.name, fault.column
                    )
                }
            }
        })
    }

    /// All faults with their source lines, secrets masked; `fancy` draws with colours and lines,
    /// else it is plain ASCII but for what the user wrote.
    pub fn render(&self, fancy: bool) -> String {
        let theme = match fancy {
            true => GraphicalTheme::unicode(),
            false => GraphicalTheme::none(),
        };
        let drawer = GraphicalReportHandler::new_themed(theme)
            .with_links(false)
            .with_width(100)
            .with_context_lines(1);
        let mut page = String::new();
        for fault in self.list.iter().take(FAULTS_MAX) {
            let shown = Shown {
                line: Line {
                    name: &self.name,
                    fault,
                },
            };
            if drawer.render_report(&mut page, &shown).is_err() {
                page.push_str(&format!("{}: {}\n", fault.what, fault.fix));
            }
            page.push('\n');
        }
        if self.list.len() > FAULTS_MAX {
            page.push_str(&format!("only the first {FAULTS_MAX} faults are shown\n\n"));
        }
        let count = self.list.len().min(FAULTS_MAX);
        let noun = if count == 1 { "fault" } else { "faults" };
        page.push_str(&format!("{}: {count} {noun}\n", self.name));
        page
    }
}

/// Plain, as `render(false)`.
impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Faults {}

/// A fault as miette draws it.
#[derive(Debug)]
struct Shown<'a> {
    line: Line<'a>,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line.fault.what)
    }
}

impl std::error::Error for Shown<'_> {}

impl Diagnostic for Shown<'_> {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.line.fault.fix))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.line
            .fault
            .excerpt
            .as_ref()
            .map(|_| &self.line as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let excerpt = self.line.fault.excerpt.as_ref()?;
        let label = LabeledSpan::new(None, excerpt.mark.start, excerpt.mark.len());
        Some(Box::new(std::iter::once(label)))
    }
}

/// The one line of the file that a fault shows.
#[derive(Debug)]
struct Line<'a> {
    name: &'a str,
    fault: &'a Fault,
}

impl SourceCode for Line<'_> {
    /// Asked for with lines around it, the whole line; without, the place that the header names.
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        _after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let excerpt = self
            .fault
            .excerpt
            .as_ref()
            .ok_or(MietteError::OutOfBounds)?;
        let (line, column) = (
            self.fault.line.saturating_sub(1),
            self.fault.column.saturating_sub(1),
        );
        let (data, span, column) = match before {
            0 => (
                excerpt.text.get(excerpt.mark.clone()).unwrap_or_default(),
                *span,
                column,
            ),
            _ => (excerpt.text.as_str(), (0, excerpt.text.len()).into(), 0),
        };
        let name = self.name.to_owned();
        Ok(Box::new(MietteSpanContents::new_named(
            name,
            data.as_bytes(),
            span,
            line,
            column,
            1,
        )))
    }
}
