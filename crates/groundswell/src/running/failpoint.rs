//! Places at which a test can make the program kill itself, to see what is left behind, and mistakes that it can make it
//! make, to see that they are found.
//!
//! `GROUNDSWELL_FAILPOINT=NAME:N` kills it when it comes to NAME for the Nth time; `GROUNDSWELL_PLANTED_BUG=NAME` plants a
//! mistake. Without the feature `failpoints` nothing is compiled in.

/// Dies here if the test says so.
#[cfg(feature = "failpoints")]
pub(super) fn pass(name: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    static PLAN: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static N_PASSED: AtomicU64 = AtomicU64::new(0);
    let plan = PLAN.get_or_init(|| {
        let plan = std::env::var("GROUNDSWELL_FAILPOINT").ok()?;
        let (name, nth) = plan.split_once(':')?;
        Some((name.to_owned(), nth.parse().ok()?))
    });
    if let Some((planned, nth)) = plan
        && planned == name
        && N_PASSED.fetch_add(1, Ordering::Relaxed) + 1 == *nth
    {
        // As SIGKILL does: nothing is flushed, no destructor runs.
        std::process::abort();
    }
}

/// Does nothing.
#[cfg(not(feature = "failpoints"))]
pub(super) fn pass(_: &str) {}

/// Whether the test wants this mistake.
#[cfg(feature = "failpoints")]
pub(super) fn has_bug(name: &str) -> bool {
    use std::sync::OnceLock;
    static PLANTED: OnceLock<Option<String>> = OnceLock::new();
    PLANTED.get_or_init(|| std::env::var("GROUNDSWELL_PLANTED_BUG").ok()).as_deref() == Some(name)
}

/// Never.
#[cfg(not(feature = "failpoints"))]
pub(super) const fn has_bug(_: &str) -> bool {
    false
}
