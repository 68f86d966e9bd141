//! The ingest role as its adapter must be: one intake a partition, a log that is written in order, and commits.
//!
//! Rules that the simulator has shown to matter, beside those that the core's documentation states:
//! * What a task has told is durable before it commits that it has read the posts.
//! * A task that has read nothing yet says that it read when its predecessor did or, as here, when it took over. Time
//!   goes on where nobody posts, from when the last post was read: from 1970 it would go on to the present at once.
//! * While posts are set aside a source is not idle: it has something left to tell. Only posts that are dated later
//!   than the time as of which it is idle do not matter.

use std::collections::VecDeque;

use groundswell_core::{Config, ConfigHash, EventTime, Intake, Mark, Record, SourceId, Telling};

use crate::simulator::Bug;
use crate::simulator::dice::Dice;
use crate::simulator::schedule::{Schedule, Topic, skew_ms};
use crate::simulator::world::World;

const DAY_MS: i64 = 86_400_000;
/// How long after the beginning of the world a quiet is first taken for one.
const QUIET_FROM_MS: i64 = 300_000;

/// What surrounds a step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) config: &'a Config,
    pub(crate) hash: ConfigHash,
    pub(crate) world: &'a World,
    pub(crate) topic: &'a Topic,
    pub(crate) schedule: &'a Schedule,
    pub(crate) bug: Option<Bug>,
}

/// What is kept of a partition for the next task that reads it.
#[derive(Debug, Clone)]
pub(crate) struct Committed {
    /// Tasks of an earlier generation cannot commit any more.
    generation: u32,
    next_offset: usize,
    intake: Option<Vec<u8>>,
    pub(crate) is_finished: bool,
}

impl Committed {
    pub(crate) fn nothing() -> Self {
        Self { generation: 0, next_offset: 0, intake: None, is_finished: false }
    }
}

/// Reads one partition.
#[derive(Debug)]
struct Task {
    partition: usize,
    generation: u32,
    intake: Intake,
    next_offset: usize,
    read_at_ms: i64,
    is_finished: bool,
    /// Complaints told since the last mark.
    n_unmarked: usize,
}

impl Task {
    /// Takes a partition over from where its last task has committed.
    fn take_over(scene: &Scene<'_>, committed: &mut Committed, partition: usize, clock_ms: i64) -> Self {
        committed.generation += 1;
        let state = committed.intake.as_deref().filter(|_| scene.bug != Some(Bug::IntakeForgotten));
        let intake = state.map(|bytes| Intake::restore(scene.config, scene.hash, bytes));
        Self {
            partition,
            generation: committed.generation,
            intake: intake.map_or_else(|| Intake::new(scene.config), |it| it.expect("it was saved whole")),
            next_offset: committed.next_offset,
            read_at_ms: if scene.bug == Some(Bug::ReadingForgotten) { clock_ms - DAY_MS } else { clock_ms },
            is_finished: committed.is_finished,
            n_unmarked: 0,
        }
    }

    /// Whether another task has this partition by now.
    fn is_stale(&self, committed: &[Committed]) -> bool {
        self.generation != committed[self.partition].generation
    }

    fn read(
        &mut self,
        scene: &Scene<'_>,
        now_ms: i64,
        clock_ms: i64,
        n_max: usize,
        told: &mut VecDeque<Record>,
    ) {
        let unread = &scene.topic.partitions[self.partition][self.next_offset..];
        for delivery in unread.iter().take(n_max).take_while(|delivery| delivery.visible_ms <= now_ms) {
            let post = &scene.world.posts[delivery.post];
            let ticket = self.next_offset as u64;
            self.intake.handle_post(ticket, post.event_time, post.outcome(), post.complaint.clone());
            self.next_offset += 1;
            self.read_at_ms = clock_ms;
            self.tell(told);
        }
    }

    fn tell(&mut self, told: &mut VecDeque<Record>) {
        while let Some(admitted) = self.intake.poll_admitted() {
            if let Some(complaint) = admitted.complaint {
                self.n_unmarked += 1;
                let telling = Telling::Complaint { offset: admitted.ticket.cast_signed(), complaint };
                told.push_back(Record { source: source(self.partition), telling });
            }
        }
    }

    /// Says how far the task has come. A source `may_be_quiet` if posts that are set aside may be taken as they are where
    /// there is nothing to read; not at the very beginning, since which posts are borne out first decides when watching
    /// begins.
    fn mark(
        &mut self,
        scene: &Scene<'_>,
        (now_ms, clock_ms): (i64, i64),
        may_be_quiet: bool,
        told: &mut VecDeque<Record>,
    ) {
        let next = scene.topic.partitions[self.partition].get(self.next_offset);
        let is_at_end = next.is_none_or(|delivery| delivery.visible_ms > now_ms);
        let clock = EventTime::from_ms(clock_ms).expect("nobody's clock is that wrong");
        if is_at_end && may_be_quiet && now_ms > World::START_MS + QUIET_FROM_MS {
            self.intake.handle_quiet(clock);
            self.tell(told);
        }
        let has_all_told = !self.intake.is_waiting_at(clock) || scene.bug == Some(Bug::IdleTooEarly);
        let is_idle = is_at_end && has_all_told;
        let first_open = self.intake.first_set_aside().map(u64::cast_signed);
        let mark = Mark {
            offset: as_offset(self.next_offset) - 1,
            settled: first_open.unwrap_or(as_offset(self.next_offset)),
            n_partitions: u32::try_from(scene.schedule.n_partitions).expect("there are few partitions"),
            first_bin: self.intake.first_bin(),
            open_from: self.intake.open_from(),
            frontier: self.intake.frontier(),
            read_at_ms: self.read_at_ms,
            idle_as_of_ms: is_idle.then_some(clock_ms),
            is_finished: self.is_finished,
            n_posts: self.intake.n_posts().iter().map(|(&bin, &n)| (bin, n)).collect(),
        };
        if let Some(open_from) = self.intake.open_from() {
            self.intake.forget_posts_before(open_from);
        }
        let record = Record { source: source(self.partition), telling: Telling::Mark(mark) };
        if scene.bug == Some(Bug::MarkFirst) {
            told.insert(told.len().saturating_sub(self.n_unmarked), record);
        } else {
            told.push_back(record);
        }
        self.n_unmarked = 0;
    }

    /// Takes the input to be over.
    fn finish(&mut self, scene: &Scene<'_>, now_ms: i64, clock_ms: i64, told: &mut VecDeque<Record>) {
        self.intake.finish();
        self.is_finished = true;
        self.tell(told);
        self.mark(scene, (now_ms, clock_ms), false, told);
    }

    fn commit(&self, hash: ConfigHash, committed: &mut Committed) {
        *committed = Committed {
            generation: committed.generation,
            next_offset: self.next_offset,
            intake: Some(self.intake.save(hash)),
            is_finished: self.is_finished,
        };
    }
}

/// A process of the ingest role: some tasks, one producer.
#[derive(Debug)]
pub(crate) struct Worker {
    tasks: Vec<Task>,
    /// Told but not yet in the log.
    told: VecDeque<Record>,
    skew_ms: i64,
    /// It stands still until then, and does not know it.
    pub(crate) paused_until_ms: i64,
}

impl Worker {
    pub(crate) fn new(dice: &mut Dice) -> Self {
        Self { tasks: Vec::new(), told: VecDeque::new(), skew_ms: skew_ms(dice), paused_until_ms: 0 }
    }

    /// Takes a partition over.
    pub(crate) fn take_over(
        &mut self,
        scene: &Scene<'_>,
        committed: &mut Committed,
        partition: usize,
        now_ms: i64,
    ) {
        self.tasks.push(Task::take_over(scene, committed, partition, now_ms + self.skew_ms));
    }

    /// Reads, tells, writes and commits a little.
    pub(crate) fn step(
        &mut self,
        scene: &Scene<'_>,
        now_ms: i64,
        committed: &mut [Committed],
        log: &mut Vec<Record>,
        dice: &mut Dice,
    ) {
        let schedule = scene.schedule;
        let clock_ms = now_ms + self.skew_ms;
        // Some day a task notices that it has been replaced.
        self.tasks.retain(|task| !task.is_stale(committed) || !dice.chance(0.1));
        for task in self.tasks.iter_mut().filter(|task| !task.is_finished) {
            let n_max = if dice.chance(0.8) { 1 + dice.below(schedule.batch_max) } else { 0 };
            task.read(scene, now_ms, clock_ms, n_max, &mut self.told);
            let is_read = task.next_offset == scene.topic.partitions[task.partition].len();
            if is_read && now_ms > scene.topic.end_ms && dice.chance(0.3) {
                task.finish(scene, now_ms, clock_ms, &mut self.told);
            } else if dice.chance(schedule.mark_chance) {
                let may_be_quiet = dice.chance(schedule.quiet_chance);
                task.mark(scene, (now_ms, clock_ms), may_be_quiet, &mut self.told);
            }
        }
        if dice.chance(schedule.flush_chance) {
            self.flush(log);
        }
        if dice.chance(schedule.commit_chance) {
            self.commit(scene, committed, log);
        }
    }

    /// Commits every partition that is still its own, and gives up the others.
    fn commit(&mut self, scene: &Scene<'_>, committed: &mut [Committed], log: &mut Vec<Record>) {
        if scene.bug != Some(Bug::CommitBeforeDurable) {
            self.flush(log);
        }
        if scene.bug != Some(Bug::ZombiesCommit) {
            self.tasks.retain(|task| !task.is_stale(committed));
        }
        for task in &self.tasks {
            task.commit(scene.hash, &mut committed[task.partition]);
        }
    }

    /// Gives up a partition that is to go to somebody else, in order.
    pub(crate) fn give_up(
        &mut self,
        scene: &Scene<'_>,
        partition: usize,
        committed: &mut [Committed],
        log: &mut Vec<Record>,
    ) {
        self.commit(scene, committed, log);
        self.tasks.retain(|task| task.partition != partition);
    }

    pub(crate) fn has_no_tasks(&self) -> bool {
        self.tasks.is_empty()
    }

    /// The partitions that nobody else was given since.
    pub(crate) fn own_partitions(&self, committed: &[Committed]) -> Vec<usize> {
        self.tasks.iter().filter(|task| !task.is_stale(committed)).map(|task| task.partition).collect()
    }

    /// Writes all that was told.
    pub(crate) fn flush(&mut self, log: &mut Vec<Record>) {
        log.extend(self.told.drain(..));
    }

    /// It is gone; some of what it told last may have reached the log, in order.
    pub(crate) fn crash(mut self, log: &mut Vec<Record>, dice: &mut Dice) {
        let n_written = dice.below(self.told.len() + 1);
        log.extend(self.told.drain(..n_written));
    }
}

fn source(partition: usize) -> SourceId {
    SourceId { topic: "posts".into(), partition: i32::try_from(partition).expect("there are few partitions") }
}

fn as_offset(number: usize) -> i64 {
    i64::try_from(number).expect("there are few posts")
}
