//! Kubernetes objects as JSON values: schema tables, selectors, JSON Patch, strategic merge, Status.
