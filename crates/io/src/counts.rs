//! Tables of counts (CSV).
