//! The choice of an endpoint and a key: the healthy ones first, then what was tried, then the least bad.

use super::member::{Hold, Member};
use super::pick::{By, Set, pick};
use super::ticket::Ticket;
use super::{Asked, Choice, Pool, Resort, Tried, Unfit, spread};
use crate::provider::config::breaker::AllOpen;
use crate::stage::plan::breaker::Pass;
use std::sync::Arc;
use std::time::Duration;

/// What can be chosen from.
struct Row<'a> {
    members: &'a [Arc<Member>],
    among: Set,
    /// Those that other requests had better try before.
    tried: Set,
}

/// One choice in the making.
#[derive(Clone, Copy)]
struct Moment<'a> {
    asked: &'a Asked<'a>,
    resort: Resort,
    now_ms: u64,
}

/// Enters what hangs on a member's being chosen, such as the model there.
type Beside<'a> = &'a dyn Fn(usize, Moment<'_>) -> Result<Option<Hold>, Unfit>;

impl Pool {
    /// Chooses an endpoint and a key. Dropping the ticket ends the request at both.
    ///
    /// # Errors
    /// Nothing is fit to be asked.
    pub fn choose(
        self: &Arc<Self>,
        asked: &Asked<'_>,
        tried: &Tried,
        resort: Resort,
    ) -> Result<Choice, Unfit> {
        let resort = match self.rules.all_open {
            AllOpen::Try => resort,
            AllOpen::Refuse => Resort::Healthy,
        };
        let moment = Moment {
            asked,
            resort,
            now_ms: self.ticks.now_ms(),
        };
        let mut ticket = Ticket::new(self.clone(), asked);
        self.choose_endpoint(&mut ticket, tried, moment)?;
        if !asked.own_key && self.has_keys() {
            let all: Set = (0..self.keys.len()).collect();
            let row = Row {
                members: &self.key_members,
                among: all.without(tried.barred),
                tried: tried.keys,
            };
            if row.among.is_empty() {
                return Err(Unfit::Refused);
            }
            let (at, hold, _) = self.take(&row, moment, &|_, _| Ok(None))?;
            ticket.key = Some((at, hold));
        }
        let listed = ticket.endpoint_index();
        Ok(Choice {
            endpoint: listed.and_then(|at| self.bases.get(at).cloned()),
            key: ticket.key_index().and_then(|at| self.keys.get(at).cloned()),
            ticket,
        })
    }

    fn choose_endpoint(
        &self,
        ticket: &mut Ticket,
        tried: &Tried,
        moment: Moment<'_>,
    ) -> Result<(), Unfit> {
        if self.endpoints.is_empty() {
            let host = self.hosts.find(moment.asked.origin);
            ticket.endpoint = host.map(|host| self.enter(&host, moment)).transpose()?;
            ticket.model = self.enter_model(spread(moment.asked.origin), moment)?;
            return Ok(());
        }
        let row = Row {
            members: &self.endpoints,
            among: (0..self.endpoints.len()).collect(),
            tried: tried.endpoints,
        };
        let model = |at: usize, moment: Moment<'_>| {
            let endpoint = self.endpoints.get(at).map_or(0, |member| member.spread);
            self.enter_model(endpoint, moment)
        };
        let (at, hold, of_model) = self.take(&row, moment, &model)?;
        ticket.listed = Some(at);
        ticket.endpoint = Some(hold);
        ticket.model = of_model;
        Ok(())
    }

    /// The model at an endpoint, where something bad was heard of it.
    fn enter_model(&self, endpoint: u64, moment: Moment<'_>) -> Result<Option<Hold>, Unfit> {
        let Some(model) = moment.asked.model else {
            return Ok(None);
        };
        let known = self.models.find((endpoint, model));
        known.map(|model| self.enter(&model, moment)).transpose()
    }

    /// A member that is not chosen among others: it is passed, or taken as a last resort.
    fn enter(&self, member: &Arc<Member>, moment: Moment<'_>) -> Result<Hold, Unfit> {
        let pass = match member.breaker.enter(moment.now_ms) {
            Some(pass) => pass,
            None if moment.resort == Resort::LeastBad => Pass::Resort,
            None => return Err(self.resting([member].into_iter(), moment.now_ms)),
        };
        Ok(Hold::new(member.clone(), pass))
    }

    /// One member of the row, its index, and what `beside` gave for it.
    fn take(
        &self,
        row: &Row<'_>,
        moment: Moment<'_>,
        beside: Beside<'_>,
    ) -> Result<(usize, Hold, Option<Hold>), Unfit> {
        let healthy = Moment {
            resort: Resort::Healthy,
            ..moment
        };
        let passable =
            |(_, member): &(usize, &Arc<Member>)| member.breaker.is_passable(moment.now_ms);
        let members = row.members.iter().enumerate();
        let fit: Set = members.filter(passable).map(|(at, _)| at).collect();
        let fit = row.among.and(fit);
        for mut set in [fit.without(row.tried), fit.and(row.tried)] {
            while let Some(at) = pick(row.members, set, self.by(moment)) {
                // Another request may have taken the probe meanwhile.
                if let Some(member) = row.members.get(at)
                    && let Ok(hold) = self.enter(member, healthy)
                    && let Ok(held) = beside(at, healthy)
                {
                    return Ok((at, hold, held));
                }
                set.remove(at);
            }
        }
        let untried = row.among.without(row.tried);
        let left = if untried.is_empty() {
            row.among
        } else {
            untried
        };
        let members = row.members.iter().enumerate();
        let left = members.filter(|(at, _)| left.has(*at));
        if moment.resort == Resort::Healthy {
            return Err(self.resting(left.map(|(_, member)| member), moment.now_ms));
        }
        let soonest = left.min_by_key(|(_, member)| member.breaker.until_ms());
        let (at, member) = soonest.ok_or(Unfit::Refused)?;
        Ok((at, self.enter(member, moment)?, beside(at, moment)?))
    }

    fn by<'a>(&'a self, moment: Moment<'a>) -> By<'a> {
        By {
            balance: &self.balance,
            affinity: moment.asked.affinity,
            dice: &self.dice,
            now_ms: moment.now_ms,
        }
    }

    fn resting<'a>(&self, members: impl Iterator<Item = &'a Arc<Member>>, now_ms: u64) -> Unfit {
        let left_ms = members.map(|member| member.breaker.until_ms().saturating_sub(now_ms));
        Unfit::Resting(Duration::from_millis(left_ms.min().unwrap_or(0)))
    }
}
