// Package cgroup limits, measures and freezes instances with Linux control groups of either version. A
// machine may offer each controller in a v1 hierarchy of its own, in one shared with others, or in the v2
// hierarchy; a System knows which, and a Group is one name in all of them at once.
//
// The groups of an installation lie at nimbus/<owner>: its server in "server", which outweighs everything
// in "instances/<name>". A group that user code ran in is removed, never used again.
package cgroup
