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

    /// The same, where so many records were told because of the post before, and that post was read then. The latter is
    /// kept since the quiet after it goes on while nobody watches: the posts of that time are on the topic.
    pub(super) fn resumed(self, step: u32, read_at_ms: i64) -> Self {
        Self { step, read_at_ms, ..self }
    }

    pub(super) fn step(&self) -> u32 {
        self.step
    }

    /// When the last post was read, wall clock.
    pub(super) fn read_at_ms(&self) -> i64 {
        self.read_at_ms
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
        let is_quiet = now_ms - self.read_at_ms >= QUIET_MS;
        if is_quiet
            && self.intake.n_set_aside() > 0
            && let Some(now) = EventTime::from_ms(now_ms)
        {
            self.intake.handle_quiet(now);
            self.settle(None, outcomes, say);
        }
        // Posts that still wait for others may yet be told; only those dated ahead of the clock are not waited for.
        if is_quiet || self.intake.n_set_aside() == 0 {
            self.idle_as_of_ms = Some(now_ms);
            self.is_unmarked = true;
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

#[cfg(test)]
mod tests {
    use groundswell_core::{Catalogue, Config, Lexicon};

    use super::*;

    const START_MS: i64 = 1_700_000_000_000;

    struct World {
        judge: Judge,
        judgement: Judgement,
        outcomes: OutcomeCounts,
        partition: Partition,
    }

    impl World {
        fn new(end: Option<i64>) -> Self {
            let catalogue = Catalogue::load(true, &[]).expect("the built-in catalogue is sound");
            let lexicon = Lexicon::load(true, &[]).expect("the built-in lexicon is sound");
            let config = Config::default();
            let source = SourceId { topic: "posts".into(), partition: 0 };
            Self {
                judge: Judge::new(&catalogue, &lexicon, config.author_key),
                judgement: Judgement::default(),
                outcomes: OutcomeCounts::default(),
                partition: Partition::new(source, 1, Intake::new(&config), 0, end),
            }
        }

        /// Reads a message; gives what is said of it.
        fn read(&mut self, offset: i64, raw: &str) -> Vec<Said> {
            let mut said = Vec::new();
            let Self { judge, judgement, outcomes, partition } = self;
            let post = (offset, raw.as_bytes(), START_MS);
            partition.handle_post(post, (judge, judgement), outcomes, &mut |one| said.push(one));
            said
        }

        /// Complains at a second after the start.
        fn complain(&mut self, offset: i64, second: i64) -> Vec<Said> {
            let ms = START_MS + second * 1000;
            self.read(
                offset,
                &format!(
                    r#"{{"id":"{offset}","created_at":{ms},"author":"a{offset}","text":"spotify is down"}}"#
                ),
            )
        }

        fn idle(&mut self, seconds_later: i64) -> Vec<Said> {
            let mut said = Vec::new();
            let Self { outcomes, partition, .. } = self;
            partition.handle_idle(START_MS + seconds_later * 1000, outcomes, &mut |one| said.push(one));
            said
        }
    }

    /// The positions of complaints, as (offset, step).
    fn positions(said: &[Said]) -> Vec<(i64, u32)> {
        let position = |one: &Said| match one {
            Said::Record(Record { telling: Telling::Complaint { position, .. }, .. }) => {
                Some((position.offset, position.step))
            }
            _ => None,
        };
        said.iter().filter_map(position).collect()
    }

    #[test]
    fn a_post_that_was_set_aside_has_the_position_of_the_one_that_decided() {
        let mut world = World::new(None);
        let said: Vec<Vec<(i64, u32)>> =
            (0..6).map(|offset| positions(&world.complain(offset, offset))).collect();
        let first_four: [Vec<(i64, u32)>; 4] = Default::default();
        assert_eq!(said[..4], first_four, "the first posts wait until there are five");
        assert_eq!(said[4], [(4, 1), (4, 2), (4, 3), (4, 4), (4, 5)]);
        assert_eq!(said[5], [(5, 1)]);
        assert_eq!(positions(&world.complain(3, 3)), [], "what was read is not read again");
    }

    #[test]
    fn posts_of_a_quiet_partition_are_taken_after_a_minute_unless_they_are_dated_later() {
        let mut world = World::new(None);
        assert_eq!(positions(&world.complain(0, 0)), []);
        assert_eq!(positions(&world.complain(1, 7200)), []);
        assert_eq!(positions(&world.idle(59)), [], "others may still speak");
        assert_eq!(positions(&world.idle(61)), [(1, 1)], "the one that is not dated ahead of the clock");
        assert_eq!(positions(&world.idle(7300)), [(1, 2)], "and the other when its time has come");
    }

    #[test]
    fn the_end_of_the_input_decides_what_waits_and_is_marked() {
        let mut world = World::new(Some(1));
        assert_eq!(positions(&world.complain(0, 0)), []);
        let mut said = Vec::new();
        world.partition.finish_at_end(&mut world.outcomes, &mut |one| said.push(one));
        assert_eq!(positions(&said), [(0, 1)]);
        let Some(Record { telling: Telling::Mark(mark), .. }) = world.partition.mark() else {
            panic!("a mark is due")
        };
        assert!(mark.is_finished && mark.position == Position { offset: 0, step: 1 }, "{mark:?}");
        assert_eq!(world.partition.mark(), None, "nothing has changed since");
        assert_eq!(world.complain(1, 1), [], "what comes after the end is left");
        assert_eq!(world.partition.next_offset(), 1);
    }

    #[test]
    fn what_cannot_be_used_is_told_with_its_offset_and_counted() {
        let mut world = World::new(None);
        let said = world.read(7, "no JSON");
        let [Said::Unusable(unusable)] = said.as_slice() else { panic!("{said:?}") };
        assert_eq!((unusable.offset, unusable.rejection.outcome), (7, Outcome::NotJson));
        assert_eq!(unusable.raw.as_deref(), Some("no JSON".as_bytes()));
        assert_eq!(world.outcomes.of(Outcome::NotJson), 1);
    }
}
