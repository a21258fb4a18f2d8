package schemas

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/sr"
)

// SchemaKey is what a value says about the schema that it was written with. The zero value says nothing.
type SchemaKey struct {
	kind      keyKind
	low, high uint64 // a number; of a GUID the second and the first half
}

// keyKind is as wide as the numbers: a key without gaps is hashed in one go.
type keyKind uint64

const (
	keyNone keyKind = iota
	keyID
	keyGUID
	keyGlobalID
	keyContentID
	keyFingerprint
)

// ByID is the key of a schema id in Confluent's sense, which is one registry's.
func ByID(id int) SchemaKey { return SchemaKey{kind: keyID, low: uint64(id)} }

// ByGUID is the key of a schema by the GUID that all Confluent registries give it.
func ByGUID(high, low uint64) SchemaKey { return SchemaKey{kind: keyGUID, low: low, high: high} }

// ByGlobalID is the key of a version of an artifact in Apicurio Registry.
func ByGlobalID(id uint64) SchemaKey { return SchemaKey{kind: keyGlobalID, low: id} }

// ByContentID is the key of a content in Apicurio Registry, which several versions may have.
func ByContentID(id uint64) SchemaKey { return SchemaKey{kind: keyContentID, low: id} }

// ByFingerprint is the key of a schema by the CRC-64-AVRO of its parsing canonical form. No registry is asked for it.
func ByFingerprint(crc uint64) SchemaKey { return SchemaKey{kind: keyFingerprint, low: crc} }

// IsZero reports whether the key says nothing.
func (k SchemaKey) IsZero() bool { return k == SchemaKey{} }

// OfRegistry reports whether a registry has to be asked for the schema.
func (k SchemaKey) OfRegistry() bool { return k.kind != keyNone && k.kind != keyFingerprint }

// String is the key as messages name it.
func (k SchemaKey) String() string {
	switch k.kind {
	case keyID:
		return "schema id " + strconv.FormatUint(k.low, 10)
	case keyGUID:
		return "schema GUID " + k.guid()
	case keyGlobalID:
		return "global id " + strconv.FormatUint(k.low, 10)
	case keyContentID:
		return "content id " + strconv.FormatUint(k.low, 10)
	case keyFingerprint:
		return fmt.Sprintf("Avro fingerprint %016x", k.low)
	}
	return "no schema"
}

func (k SchemaKey) guid() string {
	s := fmt.Sprintf("%016x%016x", k.high, k.low)
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// impossible reports a key that no registry gives out: their ids are signed and of four bytes (Confluent) or eight (Apicurio).
func (k SchemaKey) impossible() bool {
	switch k.kind {
	case keyID:
		return k.low > math.MaxInt32
	case keyGlobalID, keyContentID:
		return k.low > math.MaxInt64
	}
	return !k.OfRegistry()
}

// errUnknownSchema says that the registry has answered, and has no such schema.
var errUnknownSchema = errors.New("the registry does not know it")

// codeUnknownID is how a registry says that it has no schema of an id or GUID; a 404 without it may come from a proxy or a wrong
// path.
const codeUnknownID = 40403

// definitionOf asks for a schema. The error is errUnknownSchema, or what hindered an answer.
func (r *Registry) definitionOf(ctx context.Context, key SchemaKey) (definition, error) {
	number := strconv.FormatUint(key.low, 10)
	switch key.kind {
	case keyID:
		schema, err := r.cl.SchemaByID(ctx, int(key.low))
		return r.confluent(schema, err)
	case keyGUID:
		// GET /schemas/guids/{guid}, Schema Registry API Reference of Confluent Platform.
		held, err := r.cl.SchemaByGUID(ctx, key.guid())
		if notFound(err) && code(err) != codeUnknownID {
			err = fmt.Errorf("it has no interface for GUIDs, which Confluent's registries know: %w", err)
		}
		return r.confluent(held.Schema, err)
	case keyGlobalID:
		return r.artifact(ctx, "/ids/globalIds/"+number, "/ids/globalIds/"+number+"/references")
	case keyContentID:
		return r.artifact(ctx, "/ids/contentIds/"+number, "/ids/contentIds/"+number+"/references")
	}
	return definition{}, errUnknownSchema
}

// confluent is a schema that Confluent's interface has given, with its references, or why it has not.
func (r *Registry) confluent(s sr.Schema, err error) (definition, error) {
	switch {
	case status(err) == http.StatusNotFound && code(err) == codeUnknownID, status(err) == http.StatusBadRequest && code(err) != 0:
		return definition{}, errUnknownSchema
	case err != nil:
		return definition{}, err
	}
	d := definition{text: s.Schema, kind: s.Type}
	for _, ref := range s.References {
		d.refs = append(d.refs, reference{ref.Name, fmt.Sprintf("version %d of subject %s", ref.Version, ref.Subject), func(ctx context.Context) (definition, error) {
			referred, err := r.cl.SchemaByVersion(ctx, ref.Subject, ref.Version)
			if notFound(err) {
				return definition{}, errUnknownSchema
			}
			return r.confluent(referred.Schema, err)
		}})
	}
	return d, nil
}

// apicurioURLs are the addresses of Apicurio's own interface, beside the one that imitates Confluent's: of
// http://host/apis/ccompat/v7 it is http://host/apis/registry.
func apicurioURLs(urls []string) []string {
	own := make([]string, len(urls))
	for i, u := range urls {
		base, _, _ := strings.Cut(u, "/apis/")
		own[i] = strings.TrimSuffix(base, "/") + "/apis/registry"
	}
	return own
}

// acceptJSON asks for what Apicurio's own interface answers with; it does not know Confluent's media type.
func acceptJSON(req *http.Request) error {
	req.Header.Set("Accept", "application/json, */*")
	return nil
}

// artifactReference is how Apicurio names a schema that another one refers to (Core Registry API v3, ArtifactReference).
type artifactReference struct {
	GroupID    string `json:"groupId"`
	ArtifactID string `json:"artifactId"`
	Version    string `json:"version"`
	Name       string `json:"name"`
}

// artifact asks Apicurio's own interface for a content and what it refers to. The type of an artifact stands elsewhere: what is
// not Avro fails when it is compiled.
func (r *Registry) artifact(ctx context.Context, content, references string) (definition, error) {
	var text []byte
	generation, err := r.askApicurio(ctx, content, &text)
	if err != nil {
		return definition{}, err
	}
	var refs []artifactReference
	if err := r.apicurio.Do(ctx, http.MethodGet, generation+references, nil, &refs); err != nil {
		return definition{}, err
	}
	d := definition{text: string(text), kind: sr.TypeAvro}
	for _, ref := range refs {
		if ref.GroupID == "" {
			ref.GroupID = "default"
		}
		path := fmt.Sprintf("/groups/%s/artifacts/%s/versions/%s", url.PathEscape(ref.GroupID), url.PathEscape(ref.ArtifactID), url.PathEscape(ref.Version))
		content := path + "/content"
		if generation == "/v2" {
			content = path
		}
		place := fmt.Sprintf("version %s of artifact %s in group %s", ref.Version, ref.ArtifactID, ref.GroupID)
		d.refs = append(d.refs, reference{ref.Name, place, func(ctx context.Context) (definition, error) { return r.artifact(ctx, content, path+"/references") }})
	}
	return d, nil
}

// askApicurio gets a path from the third generation of Apicurio's interface or, where there is none, from the second.
func (r *Registry) askApicurio(ctx context.Context, path string, into *[]byte) (generation string, err error) {
	for _, generation = range []string{"/v3", "/v2"} {
		err = r.apicurio.Do(ctx, http.MethodGet, generation+path, nil, into)
		switch {
		case err == nil:
			return generation, nil
		case isUnknownArtifact(err):
			return "", errUnknownSchema
		case !notFound(err):
			return "", err
		}
	}
	return "", fmt.Errorf("it has no interface of Apicurio's, which global and content ids are asked for by: %w", err)
}

// isUnknownArtifact reports a 404 that is an answer: VersionNotFoundException, ContentNotFoundException or, of the second
// generation, ArtifactNotFoundException. NotFoundException alone is that of a wrong path.
func isUnknownArtifact(err error) bool {
	var answer *sr.ResponseError
	if !errors.As(err, &answer) || answer.StatusCode != http.StatusNotFound {
		return false
	}
	var body struct{ Name string }
	_ = json.Unmarshal(answer.Raw, &body)
	what, ok := strings.CutSuffix(body.Name, "NotFoundException")
	return ok && what != ""
}

// parseGUID reads the sixteen bytes of a UUID.
func parseGUID(b []byte) SchemaKey {
	var half [2]uint64
	for i, c := range b {
		half[i/8] = half[i/8]<<8 | uint64(c)
	}
	return ByGUID(half[0], half[1])
}
