// Package store declares what Nimbus keeps: control data (functions, versions, namespaces, API keys),
// records (what came of invocations) and the ledger (asynchronous work that was accepted). Each is a
// contract of its own, because each has its own needs of durability; an implementation may keep them
// apart. The suite in storetest specifies them; every implementation passes it.
//
// Errors are *nimbus.Error: CodeNotFound for what is not there, CodeConflict for a taken name or a lost
// race, CodeInsufficientStorage when the disk is full (reads go on, and writes succeed again once there is
// room), CodeUnavailable when the store is gone. Everything is safe for concurrent use. Times are stored
// as integer microseconds UTC and come back truncated to that.
package store

import (
	"context"
	"time"

	"nimbus"
)

// Control keeps what users define.
type Control interface {
	Functions
	Namespaces
	APIKeys
}

// Functions keeps functions and their versions.
type Functions interface {
	// CreateFunction stores f on f.Version (number 1), and its namespace if that is new, in one transaction;
	// where f.Build is set, also that build, of f.Version. CodeConflict: the namespace has a function of that
	// name, whatever its case. CodeNotFound: the namespace belongs to another tenant.
	CreateFunction(ctx context.Context, f *nimbus.Function) error
	// AddVersion stores v, whose number must be one more than the newest, and switches the function to it
	// in the same transaction; CodeConflict when another update came first or a build is pending. updatedAt
	// becomes v.CreatedAt and the status message is cleared; the status stays.
	AddVersion(ctx context.Context, v *nimbus.Version) error
	// SetStatus moves a function to status, if from still is its status (else CodeConflict). The status
	// message stays.
	SetStatus(ctx context.Context, id nimbus.ID, from, status nimbus.Status, at time.Time) error
	// Function returns a function with the version that serves and the id of its pending build. Before a
	// version was made, the version is that of the build, or of the last one that failed.
	Function(ctx context.Context, id nimbus.ID) (*nimbus.Function, error)
	// FunctionByName does so by namespace and name; the name's case matters not.
	FunctionByName(ctx context.Context, namespace, name string) (*nimbus.Function, error)
	// ListFunctions pages in name order (folded to lower case), then by namespace. A cursor that no answer
	// gave is CodeInvalid, here and in every list.
	ListFunctions(ctx context.Context, q FunctionQuery) (nimbus.List[nimbus.Function], error)
	// ActiveFunctions returns functions of StatusActive, of every tenant, in the order of their ids, from the one
	// that follows after (the zero ID = from the first); at most limit. Their tags are left out.
	ActiveFunctions(ctx context.Context, after nimbus.ID, limit int) ([]nimbus.Function, error)
	// DeleteFunction removes the function and its versions.
	DeleteFunction(ctx context.Context, id nimbus.ID) error
	// Version returns one version that was made.
	Version(ctx context.Context, id nimbus.ID, number int64) (*nimbus.Version, error)
	// PruneVersions removes all but the newest keep versions that were made (at least one), the published ones
	// and the one that serves.
	PruneVersions(ctx context.Context, id nimbus.ID, keep int) error
	// PackageHashes returns the hash of every package and source that a version or a pending build refers to.
	PackageHashes(ctx context.Context) (map[string]struct{}, error)
	Builds
}

// Builds keeps versions that are still to be made, at most one of each function. They survive a crash, and go
// with their function.
type Builds interface {
	// AddBuild stores b in the place of the pending build replaces (zero = none), whose number must be one
	// more than the newest version that was made, and sets the status message; a function that failed is
	// building again. CodeConflict when another update came first. updatedAt becomes b.Version.CreatedAt.
	AddBuild(ctx context.Context, b *nimbus.Build, replaces nimbus.ID, message string) error
	// Build returns the pending build of a function.
	Build(ctx context.Context, function nimbus.ID) (*nimbus.Build, error)
	// Builds returns all pending builds, the one that was asked for first at the front.
	Builds(ctx context.Context) ([]nimbus.Build, error)
	// FinishBuild stores b.Version, which is made now, and switches the function to it; one that was building
	// is active. updatedAt and the status message are as after AddVersion. CodeConflict when b is no longer
	// pending.
	FinishBuild(ctx context.Context, b *nimbus.Build) error
	// FailBuild ends b without a version: a function that was building has failed, any other stays as it is.
	// CodeConflict when b is no longer pending.
	FailBuild(ctx context.Context, b *nimbus.Build, message string, at time.Time) error
}

// FunctionQuery selects functions. Empty fields select everything.
type FunctionQuery struct {
	Tenant     string   // required
	Namespaces []string // any of
	Name       string   // prefix, whatever its case
	Tags       []string // all of
	Runtime    string
	Status     nimbus.Status
	Page       nimbus.Page
}

// Namespaces keeps namespaces.
type Namespaces interface {
	// Namespace returns one by name.
	Namespace(ctx context.Context, name string) (*nimbus.Namespace, error)
}

// APIKeys keeps credentials.
type APIKeys interface {
	// CreateAPIKey stores k; CodeConflict when the tenant has a key of that name.
	CreateAPIKey(ctx context.Context, k *nimbus.APIKey) error
	// APIKey returns one by id.
	APIKey(ctx context.Context, id nimbus.ID) (*nimbus.APIKey, error)
	// ListAPIKeys pages a tenant's keys, oldest first.
	ListAPIKeys(ctx context.Context, tenant string, page nimbus.Page) (nimbus.List[nimbus.APIKey], error)
	// DeleteAPIKey removes one of a tenant's keys.
	DeleteAPIKey(ctx context.Context, tenant string, id nimbus.ID) error
	// HasAPIKeys reports whether there is any key at all.
	HasAPIKeys(ctx context.Context) (bool, error)
}

// Records keeps what came of invocations. It may lose the last moments on a power cut, never on a crash
// of the process after Append has returned.
type Records interface {
	// Append stores the records in one transaction. A record whose id is there already replaces it.
	Append(ctx context.Context, records []nimbus.Invocation) error
	// Invocation returns one record.
	Invocation(ctx context.Context, id nimbus.ID) (*nimbus.Invocation, error)
	// ListInvocations pages by creation, newest first, without inputs and outputs.
	ListInvocations(ctx context.Context, q InvocationQuery) (nimbus.List[nimbus.Invocation], error)
	// Prune removes the oldest records created before the moment, at most limit of them, and returns how many.
	Prune(ctx context.Context, before time.Time, limit int) (int, error)
}

// InvocationQuery selects records. Empty fields select everything.
type InvocationQuery struct {
	Namespaces []string // any of; required unless FunctionID is set
	FunctionID nimbus.ID
	Status     nimbus.InvocationStatus
	Since      time.Time // created then or later
	Until      time.Time // created before
	Page       nimbus.Page
}

// Ledger keeps accepted work. What Append has returned for survives a power cut.
type Ledger interface {
	// Append stores the entry and returns once it is on disk; concurrent callers share one fsync.
	// With an idempotency key that the function has seen in the last 24 hours (by CreatedAt) nothing is
	// stored: the same digest gives the first entry's id and Accepted.Duplicate, another digest CodeInvalid.
	// An id that is there already is CodeConflict. The context counts until the entry is handed over; after
	// that Append waits for the truth.
	Append(ctx context.Context, e *Entry) (Accepted, error)
	// Entry returns one entry.
	Entry(ctx context.Context, id nimbus.ID) (*Entry, error)
	// Entries returns up to limit entries with ids above after, in id order.
	Entries(ctx context.Context, after nimbus.ID, limit int) ([]Entry, error)
}

// Entry is one piece of accepted work.
type Entry struct {
	ID             nimbus.ID // time-ordered; the key
	Kind           string    // "invocation"
	Tenant         string
	Namespace      string
	FunctionID     nimbus.ID
	Qualifier      string // resolved at each attempt
	ParentID       nimbus.ID
	RootID         nimbus.ID
	Attempt        int
	DueAt          time.Time
	CreatedAt      time.Time
	Event          []byte
	EventBlob      string   // hash in the blob store, when the event is too large for a row
	IdempotencyKey string   // "" = none
	Digest         [32]byte // SHA-256 of the request, compared for equal idempotency keys
}

// Accepted says what Append did.
type Accepted struct {
	ID        nimbus.ID
	Duplicate bool
}

// Snapshotter is implemented by stores that can be copied while they are used.
type Snapshotter interface {
	// Snapshot writes a consistent copy into the directory, which exists and is empty. File names are the
	// store's own; Restore of the same implementation takes them back.
	Snapshot(ctx context.Context, dir string) error
}
