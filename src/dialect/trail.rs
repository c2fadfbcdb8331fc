//! What texts that are alike have in common: it is read once, and what came of it is told again.

use super::tally::{Field, Tally};

/// The most that is remembered of one text.
const BYTES_MAX: usize = 1024;
/// Members that one may have; usual events have some 30.
const STOPS_MAX: usize = 128;

/// How the last text began, and how it went on after its first string of which the length counts: the events of
/// a stream differ in little else than that string.
pub(super) struct Trails<Place> {
    leg: Leg,
    /// The leg has just begun.
    fresh: bool,
    lead: Trail<Place>,
    tail: Trail<Place>,
}

/// Which part of a text is being read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leg {
    Lead,
    /// The string of which the length counts.
    Measured,
    Tail,
    /// What has gone another way than the tail that is known, as the ends of most do in the same place.
    Rest,
}

/// A way through the bytes from one place on. What it leads to depends on nothing but these bytes, so whoever
/// meets them again at the same place may go on behind them.
struct Trail<Place> {
    bytes: Vec<u8>,
    /// Places along the way, each with how much was read and told until then.
    stops: Vec<(usize, usize, Place)>,
    told: Vec<Told>,
    /// The values that were told.
    values: Vec<u8>,
    /// It led on to more than is remembered.
    full: bool,
}

/// What the tally was told.
enum Told {
    Member {
        field: Field,
        /// Where its value ends; it begins where the one before ends.
        until: usize,
        measured: u64,
    },
    TextEnd,
}

impl<Place> Default for Trails<Place> {
    fn default() -> Self {
        Self {
            leg: Leg::Lead,
            fresh: false,
            lead: Trail::default(),
            tail: Trail::default(),
        }
    }
}

impl<Place: Copy> Trails<Place> {
    /// Another text begins.
    pub fn begin(&mut self) {
        self.leg = Leg::Lead;
        self.fresh = true;
    }

    /// Where the last text went from here, as far as this one is like it: the bytes passed and the place reached.
    pub fn follow(&mut self, bytes: &[u8], tally: &mut Tally) -> Option<(usize, Place)> {
        if !std::mem::take(&mut self.fresh) {
            return None;
        }
        let leg = self.leg;
        let trail = self.trail()?;
        let Some(stop) = trail.reached(bytes) else {
            trail.clear();
            if leg == Leg::Lead {
                self.tail.clear();
            }
            return None;
        };
        let found = trail.pass(stop, tally);
        if leg == Leg::Tail {
            self.leg = Leg::Rest;
        } else if trail.cut(stop) {
            // What came after another beginning came from another place.
            self.tail.clear();
        }
        found
    }

    /// Whether the reading's way is to be remembered here.
    pub fn are_laid(&self) -> bool {
        matches!(self.leg, Leg::Lead | Leg::Tail)
    }

    /// The way leads on through these bytes, to a place from which it can be followed where there is one.
    pub fn extend(&mut self, bytes: &[u8], place: Option<Place>) {
        if let Some(trail) = self.trail() {
            trail.extend(bytes, place);
        }
    }

    /// Something was told on the way.
    pub fn tell(&mut self, field: Field, value: &[u8], measured: u64) {
        if let Some(trail) = self.trail() {
            trail.tell(field, value, measured);
        }
    }

    pub fn tell_text_end(&mut self) {
        if let Some(trail) = self.trail() {
            trail.tell_text_end();
        }
    }

    /// Whether the reading is now within a string of which the length counts.
    pub fn turn(&mut self, measures: bool) {
        match self.leg {
            Leg::Lead if measures => self.leg = Leg::Measured,
            Leg::Measured if !measures => {
                self.leg = Leg::Tail;
                self.fresh = true;
            }
            _ => {}
        }
    }

    fn trail(&mut self) -> Option<&mut Trail<Place>> {
        match self.leg {
            Leg::Lead => Some(&mut self.lead),
            Leg::Tail => Some(&mut self.tail),
            Leg::Measured | Leg::Rest => None,
        }
    }
}

impl<Place> Default for Trail<Place> {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            stops: Vec::new(),
            told: Vec::new(),
            values: Vec::new(),
            full: false,
        }
    }
}

impl<Place: Copy> Trail<Place> {
    /// The last stop that `bytes` lead to.
    fn reached(&self, bytes: &[u8]) -> Option<usize> {
        self.stops.iter().rposition(|(read, ..)| {
            let way = self.bytes.get(..*read);
            way.is_some_and(|way| bytes.starts_with(way))
        })
    }

    /// Tells what was told on the way to a stop: the bytes passed until there, and the place.
    fn pass(&self, stop: usize, tally: &mut Tally) -> Option<(usize, Place)> {
        let &(read, told, place) = self.stops.get(stop)?;
        let mut start = 0;
        for told in self.told.get(..told)? {
            match *told {
                Told::Member {
                    field,
                    until,
                    measured,
                } => {
                    let value = self.values.get(start..until).unwrap_or_default();
                    tally.note(field, value, measured);
                    start = until;
                }
                Told::TextEnd => tally.note_text_end(),
            }
        }
        Some((read, place))
    }

    /// Forgets what lies beyond a stop; whether there was anything.
    fn cut(&mut self, stop: usize) -> bool {
        let Some(&(read, told, _)) = self.stops.get(stop) else {
            return false;
        };
        if read == self.bytes.len() && !self.full {
            return false;
        }
        self.bytes.truncate(read);
        self.stops.truncate(stop + 1);
        self.told.truncate(told);
        let values = self.told.iter().rev().find_map(|told| match told {
            Told::Member { until, .. } => Some(*until),
            Told::TextEnd => None,
        });
        self.values.truncate(values.unwrap_or_default());
        self.full = false;
        true
    }

    fn extend(&mut self, bytes: &[u8], place: Option<Place>) {
        self.full |= self.bytes.len() + bytes.len() > BYTES_MAX || self.stops.len() >= STOPS_MAX;
        if self.full {
            return;
        }
        self.bytes.extend_from_slice(bytes);
        if let Some(place) = place {
            self.stops.push((self.bytes.len(), self.told.len(), place));
        }
    }

    fn tell(&mut self, field: Field, value: &[u8], measured: u64) {
        self.full |= self.values.len() + value.len() > BYTES_MAX;
        if self.full {
            return;
        }
        self.values.extend_from_slice(value);
        self.told.push(Told::Member {
            field,
            until: self.values.len(),
            measured,
        });
    }

    fn tell_text_end(&mut self) {
        if !self.full {
            self.told.push(Told::TextEnd);
        }
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.stops.clear();
        self.told.clear();
        self.values.clear();
        self.full = false;
    }
}
