//! From a call to the leave to make it: limits on requests, tokens, money and what runs at once.
//!
//! Room is reserved under all limits that apply, or under none; what a request really used takes its
//! place at the end.

pub mod by;
pub mod config;
pub mod exceeded;
pub mod permit;
pub mod rule;
pub mod view;
mod wait;
mod when;

use crate::stage::route::Gateway;
use crate::store::counters::account::Identity;
use crate::store::counters::hold::Lack;
use crate::store::counters::{Counters, Grant, Want};
use by::{By, Caller};
use config::{Limit, Over};
use exceeded::{Exceeded, Standing, left};
use permit::Permit;
use rule::{Rule, Worst};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use wait::Ticket;

/// Where another process holds room, nobody tells when it is given back: it is looked at this often.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The limits of all gateways.
pub struct Limits {
    pub counters: Arc<Counters>,
    gateways: Vec<Vec<Arc<Rule>>>,
}

/// A request that may go on.
#[derive(Default)]
pub struct Admission {
    pub permit: Permit,
    /// The model that takes the place of the one that was asked for.
    pub model: Option<Arc<str>>,
    /// The first limit that it ran into, though it may go on.
    pub hit: Option<Arc<str>>,
    /// What is left under the tightest of the limits that say it.
    pub standing: Option<Standing>,
}

/// What a request can tell of itself when it is asked.
pub struct Means<'a> {
    /// How much it may use with a model.
    pub worst: &'a (dyn Fn(Option<&str>) -> Worst + Sync),
    /// Whether it can be sent to another model.
    pub can_switch: &'a (dyn Fn() -> bool + Sync),
}

/// A rule that applies to a request, and the counter it means.
struct Claim {
    rule: Arc<Rule>,
    id: u128,
    /// By whose names: [`Caller::variant`].
    of: usize,
}

/// A request's way through the limits so far.
#[derive(Default)]
struct Course {
    model: Option<Arc<str>>,
    hit: Option<Arc<str>>,
    /// Limits that sent the request to another model: they have had their say.
    passed: Vec<Arc<Rule>>,
    place: Option<Place>,
    /// When its patience ends, in whichever line: the shortest since it began to wait.
    until: Option<Instant>,
}

/// A request's place in a line, and when its patience ends.
struct Place {
    ticket: Ticket,
    rule: Arc<Rule>,
    id: u128,
    until: Instant,
}

/// What to do where there is no room.
enum Next {
    Refuse(Box<Exceeded>),
    /// With another model, or from a place in the line.
    Again,
    /// When this time has passed, or room was given back.
    Later(Duration),
}

impl Limits {
    /// The limits of each gateway, in the order of the gateways. Who waits under an `earlier` rule
    /// that is still there waits on in the same line.
    pub fn build<'a>(
        gateways: impl Iterator<Item = (&'a str, &'a [Limit])>,
        counters: Arc<Counters>,
        earlier: Option<&Self>,
    ) -> Self {
        let known = earlier.into_iter().flat_map(Self::rules);
        let known: HashMap<Identity, &Arc<Rule>> = known
            .map(|rule| (rule.counters.account.identity, rule))
            .collect();
        let gateways = gateways.map(|(gateway, limits)| {
            let gateway: Arc<str> = gateway.into();
            let rules = limits.iter();
            let rules = rules.filter_map(|limit| {
                let mut rule = Rule::build(&gateway, limit, &counters)?;
                if let Some(earlier) = known.get(&rule.counters.account.identity) {
                    rule.go_on_from(earlier);
                }
                Some(Arc::new(rule))
            });
            rules.collect()
        });
        Self {
            gateways: gateways.collect(),
            counters,
        }
    }

    /// Whether the gateway has any limits.
    pub fn apply_to(&self, gateway: &Gateway) -> bool {
        self.rules_of(gateway).next().is_some()
    }

    /// Whether requests may be made to wait.
    pub fn may_wait(&self, gateway: &Gateway) -> bool {
        self.rules_of(gateway).any(|rule| rule.line.is_some())
    }

    fn rules_of(&self, gateway: &Gateway) -> impl Iterator<Item = &Arc<Rule>> {
        gateway.of(&self.gateways).into_iter().flatten()
    }

    /// Reserves room for a request, waiting for it where a limit says so.
    ///
    /// # Errors
    /// There is no room, and nothing is counted.
    pub async fn admit(
        &self,
        gateway: &Gateway,
        caller: Caller<'_>,
        means: &Means<'_>,
    ) -> Result<Admission, Box<Exceeded>> {
        let rules = match gateway.of(&self.gateways) {
            Some(rules) if !rules.is_empty() => rules,
            _ => return Ok(Admission::default()),
        };
        let mut course = Course::default();
        loop {
            let model = course.model.clone();
            let caller = Caller {
                model: model.as_deref().or(caller.model),
                ..caller
            };
            let claims = self.claims(rules, &caller, &course.passed);
            if course.place.is_none()
                && let Some(claim) = claims.iter().find(|claim| claim.is_awaited())
            {
                course.join(claim, &caller, &self.lack(claim))?;
            }
            let account = course.place.as_ref().map(|place| place.ticket.account());
            let freed = account
                .as_ref()
                .map(|account| account.freed.notify.notified());
            if let Some(place) = &course.place
                && !place.turn().await
            {
                let Place { rule, id, .. } = place;
                let (rule, id) = (rule.clone(), *id);
                let lack = self.lack(&Claim { rule, id, of: 0 });
                return Err(place.give_up(&caller, &lack));
            }
            let metered = claims.iter().any(|claim| claim.rule.measure.is_metered());
            let worst = match metered {
                true => (means.worst)(caller.model),
                false => Worst::default(),
            };
            let lacks = match self.take(&claims, &caller, &worst) {
                Ok(grants) => return Ok(self.admission(claims, grants, course)),
                Err(lacks) => lacks,
            };
            match course.next(&claims, &lacks, &caller, means) {
                Next::Refuse(exceeded) => return Err(exceeded),
                Next::Again => {}
                Next::Later(after) => match freed {
                    Some(freed) => drop(tokio::time::timeout(after, freed).await),
                    None => tokio::time::sleep(after).await,
                },
            }
        }
    }

    /// The rules that apply, each with its counter.
    fn claims(&self, rules: &[Arc<Rule>], caller: &Caller<'_>, passed: &[Arc<Rule>]) -> Vec<Claim> {
        let mut bytes = Vec::with_capacity(128);
        let open = |rule: &&Arc<Rule>| !passed.iter().any(|other| Arc::ptr_eq(other, rule));
        let rules = rules.iter().filter(open);
        let rules: Vec<_> = rules.collect();
        let mut claims: Vec<Claim> = Vec::with_capacity(rules.len());
        for of in 0..=caller.others.len() {
            let caller = caller.variant(of);
            for rule in rules.iter().filter(|rule| rule.when.holds(&caller)) {
                let id = rule.id(&caller, &self.counters, &mut bytes);
                let is_same = |claim: &Claim| claim.id == id && Arc::ptr_eq(&claim.rule, rule);
                if of == 0 || !claims.iter().any(is_same) {
                    let rule = (*rule).clone();
                    claims.push(Claim { rule, id, of });
                }
            }
        }
        claims
    }

    fn take(
        &self,
        claims: &[Claim],
        caller: &Caller<'_>,
        worst: &Worst,
    ) -> Result<Vec<Grant>, Vec<Lack>> {
        let labels: Vec<_> = claims
            .iter()
            .map(|claim| || claim.rule.label(&caller.variant(claim.of)))
            .collect();
        let wants = claims.iter().zip(&labels);
        let wants: Vec<Want<'_>> = wants
            .map(|(claim, label)| claim.rule.want(claim.id, worst, label))
            .collect();
        self.counters.take(&wants)
    }

    /// Why a request cannot have what others wait for already.
    fn lack(&self, claim: &Claim) -> Lack {
        let limit = claim.rule.counters.account.terms().limit;
        Lack::of(self.counters.read(claim.id), limit)
    }

    fn admission(&self, claims: Vec<Claim>, grants: Vec<Grant>, course: Course) -> Admission {
        let standing = || {
            let now = self.counters.now();
            let exposed = claims.iter().zip(&grants);
            let exposed = exposed.filter(|(claim, _)| claim.rule.expose);
            let readings = exposed.filter_map(|(claim, grant)| Some((claim, grant.read(now)?)));
            let tightest = readings.min_by(|(_, one), (_, other)| {
                let share = |reading| left(reading) as f64 / reading.limit.max(1) as f64;
                share(one).total_cmp(&share(other))
            });
            tightest.map(|(claim, reading)| Standing::new(&claim.rule, &reading))
        };
        let standing = standing();
        let rules = claims.into_iter().map(|claim| claim.rule);
        Admission {
            permit: Permit::new(rules.zip(grants).collect()),
            model: course.model,
            hit: course.hit,
            standing,
        }
    }

    /// All limits that are in force.
    pub fn rules(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.gateways.iter().flatten()
    }
}

impl Claim {
    /// Whether others wait for this counter already.
    fn is_awaited(&self) -> bool {
        let line = self.rule.line.as_ref();
        line.is_some_and(|line| line.has_waiters(self.id))
    }
}

impl Course {
    fn next(
        &mut self,
        claims: &[Claim],
        lacks: &[Lack],
        caller: &Caller<'_>,
        means: &Means<'_>,
    ) -> Next {
        let lacking = || {
            let rules = lacks.iter();
            rules.filter_map(|lack| Some((claims.get(lack.claim)?, lack)))
        };
        if let Some((claim, _)) = lacking().next() {
            self.hit.get_or_insert_with(|| claim.rule.name.clone());
        }
        let refuses = |(claim, lack): &(&Claim, &Lack)| match claim.rule.over {
            Over::Reject => true,
            Over::Wait(_) => lack.hopeless,
            Over::Model(_) => !(means.can_switch)(),
        };
        // Who refuses for longest decides when it is worth trying again.
        let wait_of = |lack: &Lack| (lack.hopeless, lack.room_in_ms.unwrap_or_default());
        let refusing = lacking()
            .filter(refuses)
            .max_by_key(|(_, lack)| wait_of(lack));
        if let Some((claim, lack)) = refusing {
            let waited = self.place.is_some();
            return Next::Refuse(refusal(&claim.rule, lack, caller, waited));
        }
        for (claim, _) in lacking() {
            if let Over::Model(model) = &claim.rule.over {
                self.model = Some(model.clone());
                self.passed.push(claim.rule.clone());
                self.place = None;
                return Next::Again;
            }
        }
        let Some((claim, lack)) = lacking().next() else {
            return Next::Again;
        };
        match &self.place {
            Some(place) if place.is_of(claim) => {
                let patience = place.until.saturating_duration_since(Instant::now());
                if patience.is_zero() {
                    return Next::Refuse(place.give_up(caller, lack));
                }
                let room_in = lack.room_in_ms.map(Duration::from_millis);
                Next::Later(room_in.unwrap_or(LOOK_EVERY).min(LOOK_EVERY).min(patience))
            }
            _ => match self.join(claim, caller, lack) {
                Ok(()) => Next::Again,
                Err(exceeded) => Next::Refuse(exceeded),
            },
        }
    }

    /// Takes a place in the claim's line, in place of the one in another.
    fn join(
        &mut self,
        claim: &Claim,
        caller: &Caller<'_>,
        lack: &Lack,
    ) -> Result<(), Box<Exceeded>> {
        self.hit.get_or_insert_with(|| claim.rule.name.clone());
        let refuse = |waited| refusal(&claim.rule, lack, caller, waited);
        let (Some(line), Over::Wait(wait)) = (&claim.rule.line, &claim.rule.over) else {
            return Err(refuse(false));
        };
        self.place = None;
        let lane = if caller.key.is_some() {
            By::Key
        } else {
            By::Client
        };
        let ticket = line.join(claim.id, lane.show(caller));
        let own = Instant::now() + wait.within.duration();
        let until = self.until.map_or(own, |until| until.min(own));
        self.until = Some(until);
        self.place = Some(Place {
            ticket: ticket.map_err(|_| refuse(false))?,
            rule: claim.rule.clone(),
            id: claim.id,
            until,
        });
        Ok(())
    }
}

impl Place {
    /// Waits for its turn; `false` where that did not come in time.
    async fn turn(&self) -> bool {
        let turn = tokio::time::timeout_at(self.until, self.ticket.turn());
        turn.await.unwrap_or(false)
    }

    fn is_of(&self, claim: &Claim) -> bool {
        Arc::ptr_eq(&self.rule, &claim.rule) && self.id == claim.id
    }

    fn give_up(&self, caller: &Caller<'_>, lack: &Lack) -> Box<Exceeded> {
        refusal(&self.rule, lack, caller, true)
    }
}

fn refusal(rule: &Rule, lack: &Lack, caller: &Caller<'_>, waited: bool) -> Box<Exceeded> {
    let asked = (caller.provider, caller.model);
    Box::new(Exceeded::new(rule, lack, asked, waited))
}
