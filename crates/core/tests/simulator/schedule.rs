//! What a seed decides before anything runs: how posts get into the partitions, and how rough the run is.

use std::collections::BTreeSet;

use crate::simulator::dice::Dice;
use crate::simulator::world::World;

/// The most that the order of posts is disturbed by: a little less than the allowed lateness.
const DISORDER_MS_MAX: i64 = 29_500;
/// The most that a broker takes to show a post. With the difference of two clocks it is what the core allows for beside
/// the lateness (2 s), less a margin.
const HIDDEN_MS_MAX: i64 = 1_500;
/// The most that a worker's clock is wrong, either way.
const SKEW_MS_MAX: i64 = 250;

/// How one run goes.
#[derive(Debug)]
pub(crate) struct Schedule {
    /// Which of the worlds.
    pub(crate) world: usize,
    pub(crate) n_partitions: usize,
    /// Partitions without a single post.
    n_empty: usize,
    /// Partitions that get complaints only: each of their posts is ahead of the one before.
    n_sparse: usize,
    /// Whether delays are nothing or all that is allowed: what lies well within bounds shows no mistake in them.
    is_sharp: bool,
    disorder_ms: i64,
    /// How much of that is each post's own; the rest is for stalls.
    jitter_ms: i64,
    /// Times that the producers of a partition hold posts back.
    n_stalls: usize,
    /// Posts that are sent twice. Not where the feed is found silent: a post that comes twice is two posts of the feed,
    /// and when it is silent, and so what is held meanwhile, may hang on it.
    pub(crate) n_duplicates: usize,
    /// The wall clock at which reading begins: some posts may have been waiting.
    pub(crate) starts_at_ms: i64,
    pub(crate) n_workers: usize,
    /// The wall clock goes on by at most so much between two steps; sometimes by at most so much more, so that the day
    /// goes by, yet what is done within a second meets other things.
    pub(crate) tick_ms_max: f64,
    pub(crate) leap_ms_max: f64,
    pub(crate) leap_chance: f64,
    /// The most that is read in one step.
    pub(crate) batch_max: usize,
    pub(crate) mark_chance: f64,
    /// How likely posts that are set aside are taken as they are when there is nothing to read.
    pub(crate) quiet_chance: f64,
    pub(crate) flush_chance: f64,
    pub(crate) commit_chance: f64,
    /// How likely each kind of fault is in a step.
    pub(crate) crash_chance: f64,
    pub(crate) zombie_chance: f64,
    pub(crate) rebalance_chance: f64,
    pub(crate) pause_chance: f64,
    pub(crate) detect_crash_chance: f64,
    /// How likely a restored detect role finds an old copy of its state.
    pub(crate) old_state_chance: f64,
}

impl Schedule {
    pub(crate) fn draw(seed: u64, worlds: &[World]) -> (Self, Dice) {
        let mut dice = Dice::new(seed);
        // The first draws of neighbouring seeds are no more alike than others, but cost nothing to throw away.
        dice.next();
        let world = dice.below(worlds.len());
        let n_partitions = worlds[world].n_partitions;
        // At least one partition is neither empty nor sparse.
        let n_empty = dice.below(n_partitions.min(2));
        let n_sparse = dice.below((n_partitions - n_empty).min(2));
        let waiting = if dice.chance(0.4) { 1.2 * dice.uniform() } else { 0.0 };
        let is_sharp = dice.chance(0.3);
        let disorder_ms = if is_sharp { DISORDER_MS_MAX } else { dice.between(0, DISORDER_MS_MAX) };
        let mut fault = |share: f64| if dice.chance(share) { dice.log_uniform(5e-4, 2e-2) } else { 0.0 };
        let [crash_chance, zombie_chance, rebalance_chance] = [0.7, 0.5, 0.6].map(&mut fault);
        let [pause_chance, detect_crash_chance] = [0.7, 0.7].map(&mut fault);
        let schedule = Self {
            world,
            n_partitions,
            n_empty,
            n_sparse,
            disorder_ms,
            is_sharp,
            jitter_ms: if is_sharp { disorder_ms } else { dice.between(0, disorder_ms) },
            n_stalls: dice.below(4),
            n_duplicates: if !worlds[world].has_silence() && dice.chance(0.5) { dice.below(60) } else { 0 },
            starts_at_ms: World::START_MS + ((World::END_MS - World::START_MS) as f64 * waiting) as i64,
            n_workers: 1 + dice.below(n_partitions.min(3)),
            tick_ms_max: dice.log_uniform(100.0, 2_000.0),
            leap_ms_max: dice.log_uniform(60_000.0, 600_000.0),
            leap_chance: dice.log_uniform(0.03, 0.3),
            batch_max: dice.log_uniform(8.0, 400.0) as usize,
            mark_chance: dice.log_uniform(0.2, 1.0),
            quiet_chance: if dice.chance(0.7) { dice.log_uniform(0.01, 1.0) } else { 0.0 },
            flush_chance: dice.log_uniform(0.1, 1.0),
            commit_chance: dice.log_uniform(0.02, 0.6),
            crash_chance,
            zombie_chance,
            rebalance_chance,
            pause_chance,
            detect_crash_chance,
            old_state_chance: if dice.chance(0.3) { 0.5 } else { 0.0 },
        };
        (schedule, dice)
    }

    /// A day without faults in three partitions, one of which is empty. It goes by in small steps, so that how far the
    /// detect role lags is its own doing.
    pub(crate) fn calm(worlds: &[World]) -> (Self, Dice) {
        let is_fit = |world: &World| world.n_partitions == 3 && !world.has_silence();
        let (drawn, dice) = Self::draw(0, worlds);
        let schedule = Self {
            world: worlds.iter().position(is_fit).expect("there is such a world"),
            n_partitions: 3,
            n_empty: 1,
            n_sparse: 0,
            n_duplicates: 0,
            starts_at_ms: World::START_MS,
            n_workers: 2,
            tick_ms_max: 2_000.0,
            leap_chance: 0.0,
            batch_max: 400,
            mark_chance: 1.0,
            flush_chance: 1.0,
            crash_chance: 0.0,
            zombie_chance: 0.0,
            rebalance_chance: 0.0,
            pause_chance: 0.0,
            detect_crash_chance: 0.0,
            ..drawn
        };
        (schedule, dice)
    }

    fn delay_ms(&self, most_ms: i64, dice: &mut Dice) -> i64 {
        if self.is_sharp { most_ms * dice.between(0, 1) } else { dice.between(0, most_ms) }
    }
}

/// A post in a partition; its place is its offset.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// Its number in the world.
    pub(crate) post: usize,
    /// From when on it can be read.
    pub(crate) visible_ms: i64,
}

/// The posts of each partition.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) partitions: Vec<Vec<Delivery>>,
    /// The ids of complaining posts that are delivered twice.
    pub(crate) sent_twice: BTreeSet<Box<str>>,
    /// When the last post can be read.
    pub(crate) end_ms: i64,
}

impl Topic {
    /// Puts the posts of `world` into partitions. What was written before something else can be read before it, within
    /// the bounds above: that is what the detect role relies on.
    pub(crate) fn deliver(world: &World, schedule: &Schedule, dice: &mut Dice) -> Self {
        let n_busy = schedule.n_partitions - schedule.n_empty - schedule.n_sparse;
        let n_used = n_busy + schedule.n_sparse;
        let stalls = stalls(schedule, schedule.disorder_ms - schedule.jitter_ms, dice);
        let mut partitions: Vec<Vec<Delivery>> = (0..schedule.n_partitions).map(|_| Vec::new()).collect();
        let mut next_busy = 0;
        for (number, post) in world.posts.iter().enumerate() {
            let partition = if post.complaint.is_none() || post.is_misdated() {
                next_busy = (next_busy + 1) % n_busy;
                next_busy
            } else {
                dice.below(n_used)
            };
            let sent_ms = post.posted_ms + schedule.delay_ms(schedule.jitter_ms, dice);
            let held_until = stalls[partition].iter().filter(|stall| stall.contains(&sent_ms)).map(|s| s.end);
            let visible_ms = held_until.max().unwrap_or(sent_ms);
            partitions[partition].push(Delivery { post: number, visible_ms });
        }
        let sent_twice = send_twice(world, schedule, (n_used, n_busy), &mut partitions, dice);
        for deliveries in &mut partitions {
            deliveries.sort_by_key(|delivery| delivery.visible_ms);
            let mut last_ms = 0;
            for delivery in deliveries {
                last_ms = last_ms.max(delivery.visible_ms + schedule.delay_ms(HIDDEN_MS_MAX, dice));
                delivery.visible_ms = last_ms;
            }
        }
        let ends = partitions.iter().filter_map(|deliveries| deliveries.last());
        let end_ms = ends.map(|delivery| delivery.visible_ms).max().unwrap_or(World::END_MS);
        Self { partitions, sent_twice, end_ms }
    }
}

/// How wrong a worker's clock is.
pub(crate) fn skew_ms(dice: &mut Dice) -> i64 {
    dice.between(-SKEW_MS_MAX, SKEW_MS_MAX)
}

/// Delivers some posts again; gives the ids of those that complain.
fn send_twice(
    world: &World,
    schedule: &Schedule,
    (n_used, n_busy): (usize, usize),
    partitions: &mut [Vec<Delivery>],
    dice: &mut Dice,
) -> BTreeSet<Box<str>> {
    let mut sent_twice = BTreeSet::new();
    for _ in 0..schedule.n_duplicates {
        let from = &partitions[dice.below(n_used)];
        let Some(&Delivery { post, visible_ms }) = pick(from, dice) else { continue };
        // Seconds later by an impatient producer, or minutes later by one that was started again. Not among the last
        // posts, where a post from long before would speak against one that is ahead of the others.
        let again_ms = visible_ms + dice.log_uniform(1_000.0, 1_200_000.0) as i64;
        if !world.posts[post].is_misdated() && again_ms < World::END_MS - 600_000 {
            sent_twice.extend(world.posts[post].complaint.as_ref().map(|it| it.post_id.clone()));
            partitions[dice.below(n_busy)].push(Delivery { post, visible_ms: again_ms });
        }
    }
    sent_twice
}

fn pick<'a, T>(items: &'a [T], dice: &mut Dice) -> Option<&'a T> {
    if items.is_empty() { None } else { Some(&items[dice.below(items.len())]) }
}

/// When the producers of each partition hold posts back, which then come all at once.
fn stalls(schedule: &Schedule, ms_max: i64, dice: &mut Dice) -> Vec<Vec<std::ops::Range<i64>>> {
    let stall = |dice: &mut Dice| {
        let from = dice.between(World::START_MS, World::END_MS);
        from..from + dice.between(0, ms_max)
    };
    let stalls_of = |_| (0..schedule.n_stalls).map(|_| stall(dice)).collect();
    (0..schedule.n_partitions).map(stalls_of).collect()
}
