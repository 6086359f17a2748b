package nimbus

import (
	"slices"
	"time"
)

// Function is named code and its settings in a namespace. Settings and the package are those of the
// version that serves, $LATEST; of a function that never had one, those of the version that is or was to be.
type Function struct {
	ID            ID
	Tenant        string
	Namespace     string
	Name          string
	Status        Status
	StatusMessage string // why, for StatusFailed, and for a failed update of an active function; what is being built
	Build         ID     // of the version that is being made; zero = none
	Version       Version
	CreatedAt     time.Time
	UpdatedAt     time.Time
}

// Version is an immutable snapshot of a function's code and settings, numbered from 1.
type Version struct {
	FunctionID ID
	Number     int64
	Published  bool // exempt from pruning
	Package    Package
	Source     Package // what the user gave, where Package was compiled from it; else zero
	Toolchain  string  // what compiled it: go1.26.8; "" = nothing was
	Settings   Settings
	CreatedAt  time.Time
}

// Made reports whether there is something to run. A version whose source was not compiled yet, or could not
// be, has only that source.
func (v *Version) Made() bool { return v.Package.Hash != "" }

// Code returns what the user gave: the source, or the package itself where nothing had to be compiled.
func (v *Version) Code() Package {
	if v.Source.Hash != "" {
		return v.Source
	}
	return v.Package
}

// Package names a content-addressed code archive in the blob store.
type Package struct {
	Hash   string // lower-case hex SHA-256 of the stored archive
	Size   int64  // bytes of the stored archive
	Inline string // name of the one file, when the code was given as text; else ""
}

// Settings is everything a user may set about a function besides its name and code.
type Settings struct {
	Description    string
	Runtime        string // resolved: python3.11, never python3
	Handler        string
	Memory         int64 // bytes
	Timeout        time.Duration
	Env            map[string]string
	Tags           []string // sorted, distinct
	MaxConcurrency int      // calls at once; 0 = unbounded
	// InstanceConcurrency is how many calls one instance takes at once; 0 = 1.
	InstanceConcurrency int
	MinInstances        int           // instances kept ready, idle or not
	IdleTimeout         time.Duration // 0 = the pool's
	CPUMilli            int           // thousandths of a core; 0 = no limit, an equal share
	Tmp                 int64         // bytes of /tmp
	Driver              string
	Capture             Capture
	EventFormat         EventFormat
}

// Build is a version that is still to be made, because its source has to be compiled. A function has at most
// one; a newer one takes its place.
type Build struct {
	ID      ID      // ordered by the time of asking
	Version Version // not Made yet
}

// Capture says which inputs and outputs an invocation's record keeps.
type Capture string

// The capture policies.
const (
	CaptureNone    Capture = "none"
	CaptureErrors  Capture = "errors"  // of calls that did not end in success
	CaptureSampled Capture = "sampled" // of errors, and of one call in a hundred
	CaptureAll     Capture = "all"
)

// Captures lists the policies.
func Captures() []Capture {
	return []Capture{CaptureNone, CaptureErrors, CaptureSampled, CaptureAll}
}

// EventFormat is what a function URL hands to the handler.
type EventFormat string

// The event formats.
const (
	EventFormatV2  EventFormat = "v2"  // AWS payload format 2.0
	EventFormatRaw EventFormat = "raw" // the JSON body itself
)

// EventFormats lists the formats.
func EventFormats() []EventFormat { return []EventFormat{EventFormatV2, EventFormatRaw} }

// Status is where a function is in its life.
type Status string

// The statuses. A failed update leaves an active function active.
const (
	StatusBuilding Status = "building"
	StatusActive   Status = "active"
	StatusFailed   Status = "failed"
	StatusInactive Status = "inactive" // refuses calls until made active again
)

var statusMoves = map[Status][]Status{
	StatusBuilding: {StatusActive, StatusFailed},
	StatusActive:   {StatusInactive},
	StatusInactive: {StatusActive},
	StatusFailed:   {StatusBuilding},
}

// Statuses lists every Status.
func Statuses() []Status {
	return []Status{StatusBuilding, StatusActive, StatusFailed, StatusInactive}
}

// CanBecome reports whether the state machine has an arrow from s to next.
func (s Status) CanBecome(next Status) bool { return slices.Contains(statusMoves[s], next) }

// Namespace groups functions; its name is unique in an installation and belongs to one tenant.
type Namespace struct {
	Name      string
	Tenant    string
	CreatedAt time.Time
}

// APIKey is a credential. Only the hash of its secret is kept.
type APIKey struct {
	ID         ID
	Tenant     string
	Name       string
	Hash       [32]byte // SHA-256 of the secret, which has 256 random bits
	Scopes     []Scope
	Namespaces []string // empty = all of the tenant
	CreatedAt  time.Time
	ExpiresAt  time.Time // zero = never
}

// Principal is who presents the key.
func (k *APIKey) Principal() Principal {
	return Principal{Subject: "apikey:" + k.ID.String(), Tenant: k.Tenant, Namespaces: k.Namespaces, Scopes: k.Scopes}
}
