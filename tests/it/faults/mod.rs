//! What goes wrong on hosts, links and controllers, and what it must lead to: a clear error, a consistent host, and
//! convergence by the next apply.
