//! What the processes that this one followed have counted.
//!
//! Without it, every upgrade would set the counters back, and what a draining process still counts
//! would be lost.
//! Each process leaves its own page of metrics in a folder that those which follow each other share,
//! and the one that is asked adds up all pages. A process that follows nobody begins a new folder.

use rustix::io::Errno;
use rustix::process::{Pid, getpid, test_kill_process};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Where the folders are, in the runtime folder.
const FOLDERS: &str = "metrics";
/// The page of those that were added up already.
const PAST: &str = "past";
/// A page that was not renewed for so long is of a process that has ended; a draining one renews its
/// page every second.
const ENDED_AFTER: Duration = Duration::from_secs(60);
/// A page that is as fresh as this is of a process that runs.
const FRESH: Duration = Duration::from_secs(5);
/// Gauges of which every process has its own part.
const SHARED_GAUGES: [&str; 2] = ["tollgate_in_flight", "tollgate_streams_open"];

/// The folder that processes which follow each other share.
#[derive(Clone, Debug)]
pub struct Legacy {
    folder: PathBuf,
}

impl Legacy {
    /// For a process that follows nobody. What others left before is removed.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn begin(runtime_dir: &Path) -> io::Result<Self> {
        let folders = runtime_dir.join(FOLDERS);
        for old in fs::read_dir(&folders).into_iter().flatten().flatten() {
            if is_number(&old.file_name()) {
                let _ = fs::remove_dir_all(old.path());
            }
        }
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let since = now.unwrap_or_default().as_nanos();
        let folder = folders.join(since.to_string());
        fs::create_dir_all(&folder)?;
        Ok(Self { folder })
    }

    /// For a process that follows another, which used `folder`.
    pub fn join(folder: PathBuf) -> Self {
        let legacy = Self { folder };
        if let Err(error) = legacy.settle_past() {
            tracing::warn!(%error, "what earlier processes counted cannot be read");
        }
        legacy
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Leaves this process's own page for those that follow. Where another process has begun anew since,
    /// nobody reads it any more.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn leave(&self, page: &str) -> io::Result<()> {
        if !self.folder.exists() {
            return Ok(());
        }
        self.write(&own_name(), page)
    }

    /// Takes the own page back: nobody follows after all.
    pub fn take_back(&self) {
        let _ = fs::remove_file(self.folder.join(own_name()));
    }

    /// This process's own page with what all others left added to it.
    pub fn add_to(&self, page: &str) -> String {
        let own = own_name();
        let mut sum = Sum::of(page);
        for left in self.pages().filter(|left| left.name != own) {
            sum.add(&left.text, left.age < FRESH && left.name != PAST);
        }
        sum.page()
    }

    fn pages(&self) -> impl Iterator<Item = Left> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        entries.filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            // Not one that is being written.
            let whole = name == PAST || is_number(&entry.file_name());
            let modified = entry.metadata().ok()?.modified().ok()?;
            Some(Left {
                text: fs::read_to_string(entry.path()).ok().filter(|_| whole)?,
                age: modified.elapsed().unwrap_or_default(),
                name,
            })
        })
    }

    /// Adds up the pages of processes that have ended, so that there are never many.
    fn settle_past(&self) -> io::Result<()> {
        let (past, ended): (Vec<_>, Vec<_>) = self
            .pages()
            .filter(|left| left.name == PAST || left.has_ended())
            .partition(|left| left.name == PAST);
        if ended.is_empty() {
            return Ok(());
        }
        let mut sum = Sum::default();
        for left in past.iter().chain(&ended) {
            sum.add(&left.text, false);
        }
        self.write(PAST, &sum.page())?;
        for left in ended {
            fs::remove_file(self.folder.join(left.name))?;
        }
        Ok(())
    }

    fn write(&self, name: &str, page: &str) -> io::Result<()> {
        let fresh = self.folder.join(format!("{name}.new"));
        fs::write(&fresh, page)?;
        fs::rename(fresh, self.folder.join(name))
    }
}

/// A page that another process left.
struct Left {
    name: String,
    text: String,
    age: Duration,
}

impl Left {
    fn has_ended(&self) -> bool {
        let process = self.name.parse().ok().and_then(Pid::from_raw);
        let runs = process.is_some_and(|process| test_kill_process(process) != Err(Errno::SRCH));
        self.age > ENDED_AFTER && !runs
    }
}

/// The name of this process's page.
fn own_name() -> String {
    getpid().as_raw_nonzero().to_string()
}

fn is_number(name: &OsStr) -> bool {
    name.as_encoded_bytes().iter().all(u8::is_ascii_digit)
}

/// Pages in the text exposition format, added up.
#[derive(Debug, Default)]
struct Sum {
    families: Vec<Family>,
    /// The place of each, by its name.
    places: HashMap<String, usize>,
}

/// A metric: what is said of it, and its series in their order.
#[derive(Debug, Default)]
struct Family {
    name: String,
    kind: String,
    help: String,
    series: Vec<(String, f64)>,
    /// The place of each, by its name and labels.
    places: HashMap<String, usize>,
}

impl Sum {
    fn of(page: &str) -> Self {
        let mut sum = Self::default();
        sum.read(page, |_| true);
        sum
    }

    /// Adds what counts on: counters and histograms; of a process that `runs` also what is its part
    /// of a gauge.
    fn add(&mut self, page: &str, runs: bool) {
        self.read(page, |family| match family.kind.as_str() {
            "counter" | "histogram" => true,
            _ => runs && SHARED_GAUGES.contains(&family.name.as_str()),
        });
    }

    fn read(&mut self, page: &str, wanted: impl Fn(&Family) -> bool) {
        let mut help = String::new();
        let mut place = None;
        for line in page.lines() {
            if let Some(text) = line.strip_prefix("# HELP ") {
                help = text.to_owned();
            } else if let Some(text) = line.strip_prefix("# TYPE ") {
                let (name, kind) = text.split_once(' ').unwrap_or((text, ""));
                let family = Family {
                    name: name.to_owned(),
                    kind: kind.to_owned(),
                    help: std::mem::take(&mut help),
                    ..Family::default()
                };
                place = wanted(&family).then(|| self.place(family));
            } else if let Some((series, value)) = line.rsplit_once(' ')
                && let Some(family) = place.and_then(|place| self.families.get_mut(place))
                && let Ok(value) = value.parse()
            {
                family.add(series, value);
            }
        }
    }

    fn place(&mut self, family: Family) -> usize {
        if let Some(place) = self.places.get(&family.name) {
            return *place;
        }
        self.places.insert(family.name.clone(), self.families.len());
        self.families.push(family);
        self.families.len() - 1
    }

    fn page(&self) -> String {
        let mut page = String::new();
        for family in &self.families {
            // Writing to a string cannot fail.
            if !family.help.is_empty() {
                let _ = writeln!(page, "# HELP {}", family.help);
            }
            let _ = writeln!(page, "# TYPE {} {}", family.name, family.kind);
            for (series, value) in &family.series {
                let _ = writeln!(page, "{series} {value}");
            }
        }
        page
    }
}

impl Family {
    fn add(&mut self, series: &str, value: f64) {
        match self.places.get(series) {
            Some(place) => {
                if let Some((_, sum)) = self.series.get_mut(*place) {
                    *sum += value;
                }
            }
            None => {
                self.places.insert(series.to_owned(), self.series.len());
                self.series.push((series.to_owned(), value));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "\
# HELP c_total Counted.
# TYPE c_total counter
c_total{a=\"x y\"} 2
# HELP g Now.
# TYPE g gauge
g 7
# HELP h Took.
# TYPE h histogram
h_bucket{le=\"1\"} 1
h_bucket{le=\"+Inf\"} 2
h_sum 1.5
h_count 2
# HELP tollgate_in_flight Running.
# TYPE tollgate_in_flight gauge
tollgate_in_flight 1
";

    #[test]
    fn a_page_alone_stays_as_it_is() {
        assert_eq!(Sum::of(OWN).page(), OWN);
    }

    #[test]
    fn what_counts_on_is_added_and_what_is_now_is_not() {
        let other = "\
# HELP c_total Counted.
# TYPE c_total counter
c_total{a=\"x y\"} 3
c_total{a=\"z\"} 0.25
# HELP d_total Only there.
# TYPE d_total counter
d_total 4
# HELP g Now.
# TYPE g gauge
g 1
# HELP h Took.
# TYPE h histogram
h_bucket{le=\"1\"} 10
h_bucket{le=\"+Inf\"} 20
h_sum 2.5
h_count 20
# HELP tollgate_in_flight Running.
# TYPE tollgate_in_flight gauge
tollgate_in_flight 5
";
        let mut sum = Sum::of(OWN);
        sum.add(other, false);
        let page = sum.page();
        for line in [
            "c_total{a=\"x y\"} 5",
            "c_total{a=\"z\"} 0.25",
            "# HELP d_total Only there.",
            "d_total 4",
            "g 7",
            "h_bucket{le=\"1\"} 11",
            "h_bucket{le=\"+Inf\"} 22",
            "h_sum 4",
            "h_count 22",
            "tollgate_in_flight 1",
        ] {
            assert!(page.lines().any(|found| found == line), "{line}\n{page}");
        }
        sum.add(other, true);
        assert!(sum.page().contains("\ntollgate_in_flight 6\n"));
    }

    #[test]
    fn pages_of_others_are_added_and_the_own_one_is_not() {
        let folder = std::env::temp_dir().join(format!("legacy-{}", std::process::id()));
        let legacy = Legacy::begin(&folder).unwrap();
        let count = |number| format!("# TYPE c_total counter\nc_total {number}\n");
        assert_eq!(legacy.add_to(&count(1)), count(1));
        legacy.leave(&count(10)).unwrap();
        assert_eq!(legacy.add_to(&count(1)), count(1));
        legacy.write("2147483001", &count(100)).unwrap();
        legacy.write("2147483002", &count(1000)).unwrap();
        assert_eq!(legacy.add_to(&count(1)), count(1101));

        let old = SystemTime::now() - ENDED_AFTER * 2;
        let page = fs::File::open(legacy.folder.join("2147483001")).unwrap();
        page.set_modified(old).unwrap();
        let legacy = Legacy::join(legacy.folder);
        assert!(!legacy.folder.join("2147483001").exists());
        assert_eq!(legacy.add_to(&count(1)), count(1101));

        let again = Legacy::begin(&folder).unwrap();
        assert_eq!(again.add_to(&count(1)), count(1));
        fs::remove_dir_all(folder).unwrap();
    }
}
