//! One partition of the posts topic: what is told of its posts, in their order.

use std::collections::BTreeMap;

use groundswell_core::{
    Admitted, EventTime, Intake, Judge, Judgement, Mark, Outcome, OutcomeCounts, Position, Record, SourceId,
    Telling,
};
use groundswell_io::decode::{Rejection, decode};
use groundswell_io::lines::LINE_BYTES_MAX;

use crate::replaying::rejection;

/// Wall clock after which an idle partition's posts that wait for others are taken as they are, milliseconds: in a
/// sparse partition the next post may be hours away. Short enough for an alert, and longer than a broker's restart.
const QUIET_MS: i64 = 60_000;

/// A post that could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unusable {
    pub(super) rejection: Rejection,
    pub(super) offset: i64,
    /// Its bytes; `None` if it was read before a restart.
    pub(super) raw: Option<Vec<u8>>,
}

/// What a partition has to say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    Record(Record),
    Unusable(Unusable),
}

/// One partition that is being read.
#[derive(Debug)]
pub(super) struct Partition {
    source: SourceId,
    n_partitions: u32,
    intake: Intake,
    /// The next offset to read.
    next_offset: i64,
    /// Records told because of the post before `next_offset`.
    step: u32,
    read_at_ms: i64,
    idle_as_of_ms: Option<i64>,
    /// Where the input is taken to be over.
    end: Option<i64>,
    is_finished: bool,
    /// Whether something has changed since the last mark.
    is_unmarked: bool,
    /// Offset, step and whether finished, as last committed.
    committed: Option<(i64, u32, bool)>,
    /// Posts that are set aside, for their dead letters.
    set_aside: BTreeMap<i64, Vec<u8>>,
}

impl Partition {
    pub(super) fn new(
        source: SourceId,
        n_partitions: u32,
        intake: Intake,
        next_offset: i64,
        end: Option<i64>,
    ) -> Self {
        Self {
            source,
            n_partitions,
            intake,
            next_offset,
            step: 0,
            read_at_ms: 0,
            idle_as_of_ms: None,
            end,
            is_finished: false,
            is_unmarked: true,
            committed: None,
            set_aside: BTreeMap::new(),
        }
    }

    /// The same, where so many records were told because of the post before.
    pub(super) fn at_step(self, step: u32) -> Self {
        Self { step, ..self }
    }

    pub(super) fn step(&self) -> u32 {
        self.step
    }

    pub(super) fn is_finished(&self) -> bool {
        self.is_finished
    }

    /// Whether there is something to commit.
    pub(super) fn is_uncommitted(&self) -> bool {
        self.committed != Some((self.next_offset, self.step, self.is_finished))
    }

    /// What there is has been committed.
    pub(super) fn note_committed(&mut self) {
        self.committed = Some((self.next_offset, self.step, self.is_finished));
    }

    pub(super) fn next_offset(&self) -> i64 {
        self.next_offset
    }

    pub(super) fn frontier(&self) -> Option<EventTime> {
        self.intake.frontier()
    }

    pub(super) fn intake(&self) -> &Intake {
        &self.intake
    }

    pub(super) fn is_idle(&self) -> bool {
        self.idle_as_of_ms.is_some()
    }

    /// Takes the post at `offset`, read at `now_ms`; what is to be said of it goes to `say`.
    pub(super) fn handle_post(
        &mut self,
        (offset, raw, now_ms): (i64, &[u8], i64),
        (judge, judgement): (&Judge, &mut Judgement),
        outcomes: &mut OutcomeCounts,
        say: &mut dyn FnMut(Said),
    ) {
        if offset < self.next_offset || self.is_finished {
            return;
        }
        self.next_offset = offset + 1;
        self.step = 0;
        self.read_at_ms = now_ms;
        self.idle_as_of_ms = None;
        self.is_unmarked = true;
        let mut reject = |rejection: Rejection| {
            outcomes.record(rejection.outcome);
            if rejection.outcome.is_dead_letter() {
                say(Said::Unusable(Unusable { rejection, offset, raw: Some(raw.to_vec()) }));
            }
        };
        if raw.len() > LINE_BYTES_MAX {
            let detail = "the message is over 1 MiB".to_owned();
            return reject(Rejection { outcome: Outcome::TooLong, detail });
        }
        let decoded = match decode(raw) {
            Ok(decoded) => decoded,
            Err(rejection) => return reject(rejection),
        };
        let post = decoded.as_post();
        let outcome = judge.judge(&post, judgement);
        if outcome == Outcome::TooLong {
            return reject(rejection(outcome, None));
        }
        let ticket = offset.unsigned_abs();
        self.intake.handle_post(ticket, post.event_time, outcome, judgement.take_complaint());
        self.settle(Some((ticket, raw)), outcomes, say);
        if self.intake.is_set_aside(ticket) {
            self.set_aside.insert(offset, raw.to_vec());
        }
    }

    /// The partition was found to have no more posts at `now_ms`.
    pub(super) fn handle_idle(
        &mut self,
        now_ms: i64,
        outcomes: &mut OutcomeCounts,
        say: &mut dyn FnMut(Said),
    ) {
        self.idle_as_of_ms = Some(now_ms);
        self.is_unmarked = true;
        if now_ms - self.read_at_ms >= QUIET_MS
            && self.intake.n_set_aside() > 0
            && let Some(now) = EventTime::from_ms(now_ms)
        {
            self.intake.handle_quiet(now);
            self.settle(None, outcomes, say);
        }
    }

    /// Ends the input if its end is reached.
    pub(super) fn finish_at_end(&mut self, outcomes: &mut OutcomeCounts, say: &mut dyn FnMut(Said)) {
        if !self.is_finished && self.end.is_some_and(|end| self.next_offset >= end) {
            self.is_finished = true;
            self.is_unmarked = true;
            self.intake.finish();
            self.settle(None, outcomes, say);
        }
    }

    /// Offsets `[next_offset, to)` are lost.
    pub(super) fn skip_to(&mut self, to: i64, say: &mut dyn FnMut(Said)) {
        let telling = Telling::Gap { from: self.next_offset, to };
        say(Said::Record(Record { source: self.source.clone(), telling }));
        self.next_offset = to;
        self.step = 0;
        self.is_unmarked = true;
    }

    /// How far this partition has come, if that has changed since it was last asked.
    pub(super) fn mark(&mut self) -> Option<Record> {
        if !std::mem::take(&mut self.is_unmarked) {
            return None;
        }
        let mark = Mark {
            position: self.position(),
            n_partitions: self.n_partitions,
            first_bin: self.intake.first_bin(),
            open_from: self.intake.open_from(),
            frontier: self.intake.frontier(),
            read_at_ms: self.read_at_ms,
            idle_as_of_ms: self.idle_as_of_ms,
            is_finished: self.is_finished,
            n_posts: self.intake.n_posts().iter().map(|(&bin, &n)| (bin, n)).collect(),
        };
        if let Some(open_from) = mark.open_from {
            self.intake.forget_posts_before(open_from);
        }
        Some(Record { source: self.source.clone(), telling: Telling::Mark(mark) })
    }

    fn position(&self) -> Position {
        Position { offset: self.next_offset - 1, step: self.step }
    }

    fn settle(
        &mut self,
        current: Option<(u64, &[u8])>,
        outcomes: &mut OutcomeCounts,
        say: &mut dyn FnMut(Said),
    ) {
        while let Some(Admitted { ticket, outcome, complaint }) = self.intake.poll_admitted() {
            let offset = ticket.cast_signed();
            let kept = self.set_aside.remove(&offset);
            outcomes.record(outcome);
            if let Some(complaint) = complaint {
                self.step += 1;
                let telling = Telling::Complaint { position: self.position(), complaint };
                say(Said::Record(Record { source: self.source.clone(), telling }));
            } else if outcome.is_dead_letter() {
                let raw = kept.or_else(|| Some(current.filter(|&(own, _)| own == ticket)?.1.to_vec()));
                let decoded = raw.as_deref().and_then(|raw| decode(raw).ok());
                let rejection = rejection(outcome, decoded.as_ref().and_then(|post| post.as_post().service));
                say(Said::Unusable(Unusable { rejection, offset, raw }));
            }
        }
    }
}
