//! The steps of one request and how far it came among them.

use super::fault::Fault;
use super::retry::{Retry, may_differ, may_heal};
use super::target::{Step, Target};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// The present step and those after it.
#[derive(Debug)]
pub struct Steps {
    /// Those to come; the first is the present one.
    queue: VecDeque<Planned>,
    /// Tries of the present one that were begun.
    tries: u32,
    pause: Duration,
    /// The present target wants to be left alone for longer than the request has time.
    barred: bool,
}

#[derive(Debug)]
struct Planned {
    target: Arc<Target>,
    retry: Retry,
    first_byte: Option<Duration>,
}

impl Steps {
    pub fn new(steps: Vec<Step>, rule: Retry) -> Self {
        let steps = steps.into_iter().map(|step| Planned {
            target: Arc::new(step.target),
            retry: step.wish.applied_to(rule),
            first_byte: step.first_byte,
        });
        Self {
            queue: steps.collect(),
            tries: 0,
            pause: Duration::ZERO,
            barred: false,
        }
    }

    pub fn first_byte(&self) -> Option<Duration> {
        self.queue.front()?.first_byte
    }

    pub fn next_target(&mut self) -> Option<(Arc<Target>, Duration)> {
        let step = self.queue.front()?;
        if self.tries >= step.retry.attempts.max(1) {
            return None;
        }
        self.tries += 1;
        self.barred = false;
        Some((step.target.clone(), std::mem::take(&mut self.pause)))
    }

    fn would_repeat(&self, fault: Fault) -> bool {
        let step = self.queue.front();
        !self.barred && may_heal(fault) && step.is_some_and(|step| self.tries < step.retry.attempts)
    }

    fn would_move_on(&self, fault: Fault) -> bool {
        let next = self.queue.get(1);
        next.is_some_and(|next| may_differ(fault, next.target.is_written()))
    }

    /// Gives the present step up before it was tried; whether another one follows.
    pub fn skip(&mut self) -> bool {
        if self.queue.len() < 2 {
            return false;
        }
        self.queue.pop_front();
        self.tries = 0;
        self.pause = Duration::ZERO;
        true
    }

    pub fn present(&self) -> Option<usize> {
        Some(self.queue.front()?.target.step)
    }

    pub fn is_last(&self) -> bool {
        self.queue.len() < 2
    }

    /// The attempt that failed does not count: another endpoint or key takes its place.
    pub fn repeat(&mut self) {
        self.tries = self.tries.saturating_sub(1);
    }

    pub fn would_go_on(&self, fault: Fault) -> bool {
        self.would_repeat(fault) || self.would_move_on(fault)
    }

    pub fn heed(&mut self, retry_after: Option<Duration>, left: Duration) {
        self.barred = retry_after.is_some_and(|wait| wait >= left);
    }

    pub fn fail(&mut self, fault: Fault, retry_after: Option<Duration>, left: Duration) -> bool {
        self.heed(retry_after, left);
        if self.would_repeat(fault)
            && let Some(step) = self.queue.front()
        {
            let longest = step.retry.pause(self.tries, 1.0).min(left);
            let pause = longest.mul_f64(fastrand::f64());
            self.pause = pause.max(retry_after.unwrap_or_default());
            return true;
        }
        self.would_move_on(fault) && self.skip()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::period::Period;
    use crate::provider::catalogue::Catalogue;
    use crate::stage::plan::retry::Wish;
    use crate::stage::plan::target::{Fields, Own};
    use std::collections::BTreeMap;

    const LONG: Duration = Duration::from_secs(1000);

    fn steps(count: usize, attempts: u32, own: bool) -> Steps {
        let catalogue = Catalogue::build(&BTreeMap::new()).unwrap();
        let provider = catalogue.provider("openai").unwrap();
        let steps = (0..count).map(|step| Step {
            target: Target {
                provider: provider.clone(),
                place: provider.place("chat/completions", None).unwrap(),
                model: None,
                step,
                streams: false,
                once: false,
                custom_cost: None,
                own: own.then(|| Own {
                    fields: Fields::Step(http::HeaderMap::new()),
                    query: String::new(),
                    body: bytes::Bytes::new(),
                }),
            },
            wish: Wish {
                attempts: Some(attempts),
                ..Wish::default()
            },
            first_byte: None,
        });
        Steps::new(steps.collect(), Retry::default())
    }

    /// The steps that are tried, in order, if every attempt fails so.
    fn walk(mut steps: Steps, fault: Fault) -> Vec<usize> {
        let mut seen = Vec::new();
        while let Some((target, _)) = steps.next_target() {
            seen.push(target.step);
            if !steps.fail(fault, None, LONG) {
                break;
            }
        }
        seen
    }

    #[test]
    fn each_step_is_tried_as_often_as_it_may_be_and_then_the_next() {
        assert_eq!(walk(steps(1, 1, false), Fault::Connect), [0]);
        assert_eq!(walk(steps(1, 3, false), Fault::Connect), [0, 0, 0]);
        assert_eq!(walk(steps(2, 2, false), Fault::Status(503)), [0, 0, 1, 1]);
        assert_eq!(walk(steps(3, 1, false), Fault::Timeout), [0, 1, 2]);
    }

    #[test]
    fn a_bad_key_is_not_tried_again_but_another_target_is() {
        assert_eq!(walk(steps(2, 3, false), Fault::Status(401)), [0, 1]);
        assert_eq!(walk(steps(2, 3, false), Fault::Status(400)), [0]);
        assert_eq!(walk(steps(2, 3, true), Fault::Status(400)), [0, 1]);
        assert_eq!(walk(steps(2, 3, true), Fault::ClientGone), [0]);
    }

    #[test]
    fn a_provider_that_wants_to_be_left_alone_for_too_long_is_left() {
        let wait = Some(Duration::from_secs(30));
        let mut patient = steps(2, 2, false);
        patient.next_target().unwrap();
        assert!(patient.fail(Fault::Status(429), wait, LONG));
        let (target, pause) = patient.next_target().unwrap();
        assert_eq!((target.step, pause), (0, Duration::from_secs(30)));
        let mut hasty = steps(2, 2, false);
        hasty.next_target().unwrap();
        assert!(hasty.fail(Fault::Status(429), wait, Duration::from_secs(20)));
        let (target, pause) = hasty.next_target().unwrap();
        assert_eq!((target.step, pause), (1, Duration::ZERO));
    }

    #[test]
    fn what_was_heeded_at_the_answers_head_holds_for_its_attempt_alone() {
        let mut steps = steps(1, 3, false);
        steps.next_target().unwrap();
        assert!(steps.would_go_on(Fault::Status(429)));
        steps.heed(Some(LONG), LONG);
        assert!(!steps.would_go_on(Fault::Status(429)));
        steps.next_target().unwrap();
        assert!(steps.would_go_on(Fault::Status(429)));
    }

    #[test]
    fn a_delay_never_uses_up_the_time_that_is_left() {
        let left = Duration::from_millis(100);
        for _ in 0..100 {
            let mut steps = steps(1, 2, false);
            if let Some(step) = steps.queue.front_mut() {
                step.retry.delay = Period::from_secs(60);
            }
            steps.next_target().unwrap();
            assert!(steps.fail(Fault::Closed, None, left));
            assert!(steps.next_target().unwrap().1 < left);
        }
    }

    #[test]
    fn a_pause_is_never_longer_than_its_delay() {
        let mut steps = steps(1, 5, false);
        if let Some(step) = steps.queue.front_mut() {
            step.retry.delay = Period::from_millis(100);
        }
        let mut bound = Duration::ZERO;
        while let Some((_, pause)) = steps.next_target() {
            assert!(pause <= bound, "{pause:?} {bound:?}");
            bound = (bound * 2).max(Duration::from_millis(100));
            steps.fail(Fault::Closed, None, LONG);
        }
        assert_eq!(bound, Duration::from_millis(1600));
    }
}
