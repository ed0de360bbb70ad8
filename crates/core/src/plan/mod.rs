//! Desired state, observed state and receipt to a plan. It decides, and it executes nothing.
