package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Denied reports whether the cluster refuses us: wrong credentials, or a permission that is missing. At start that is a fault
// of the configuration; later the cluster may be changing, and we wait.
func Denied(err error) bool {
	for _, denial := range []*kerr.Error{
		kerr.SaslAuthenticationFailed, kerr.UnsupportedSaslMechanism, kerr.IllegalSaslState, kerr.TopicAuthorizationFailed,
		kerr.GroupAuthorizationFailed, kerr.ClusterAuthorizationFailed, kerr.TransactionalIDAuthorizationFailed,
	} {
		if errors.Is(err, denial) {
			return true
		}
	}
	return false
}

// TransactionalID is the name under which a session writes.
func (o *SessionOptions) TransactionalID() string { return o.Group + "." + o.InstanceID }

// FencerSuffix ends the client id under which a broker sees Fence.
const FencerSuffix = ".fence"

// Fence ends whatever a former life of the member left open: what is not decided is aborted, and what was decided and is open all the
// same ends as it was decided. An *UndecidedError says that nobody knows how. At start it shows whether we may write in transactions at all.
func Fence(ctx context.Context, c *Config, o SessionOptions) error {
	opts, err := c.opts(o.Group + FencerSuffix)
	if err != nil {
		return err
	}
	cl, err := kgo.NewClient(append(opts, kgo.TransactionalID(o.TransactionalID()), kgo.TransactionTimeout(o.TransactionTimeout),
		kgo.ClientID(c.ClientID+FencerSuffix), kgo.MaxVersions(oldEnds()))...)
	if err != nil {
		return fmt.Errorf("fence transactional id %s: %w", o.TransactionalID(), err)
	}
	defer cl.Close()
	f := &fencer{cl: cl, adm: kadm.NewClient(cl), id: o.TransactionalID(), group: o.Group, outputs: o.Outputs, log: c.Logger}
	if f.log == nil {
		f.log = slog.New(slog.DiscardHandler)
	}
	if err := f.fence(ctx); err != nil {
		return fmt.Errorf("fence transactional id %s: %w", o.TransactionalID(), err)
	}
	return nil
}
