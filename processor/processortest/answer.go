package processortest

import (
	"encoding/binary"
	"reflect"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// refusal is the frame of an answer in which a request failed with err in all that it asked for; nil where the request has
// no answer with an error in it.
func refusal(r *Request, err *kerr.Error) []byte {
	req, parseErr := r.Parse()
	if parseErr != nil {
		return nil
	}
	resp := req.ResponseKind()
	mirror(reflect.ValueOf(req).Elem(), reflect.ValueOf(resp).Elem())
	return answerWith(r, resp, err)
}

// falsified is the broker's answer with err in place of what it says.
func falsified(r *Request, frame []byte, err *kerr.Error) []byte {
	resp := parseAnswer(r, frame)
	if resp == nil {
		return nil
	}
	return answerWith(r, resp, err)
}

// forgotten is the broker's answer to an OffsetFetch as if nothing had ever been committed.
func forgotten(r *Request, frame []byte) []byte {
	resp, ok := parseAnswer(r, frame).(*kmsg.OffsetFetchResponse)
	if !ok {
		return nil
	}
	for i := range resp.Topics {
		for j := range resp.Topics[i].Partitions {
			resp.Topics[i].Partitions[j].Offset = -1
		}
	}
	for i := range resp.Groups {
		for j := range resp.Groups[i].Topics {
			for k := range resp.Groups[i].Topics[j].Partitions {
				resp.Groups[i].Topics[j].Partitions[k].Offset = -1
			}
		}
	}
	return encode(r, resp)
}

func parseAnswer(r *Request, frame []byte) kmsg.Response {
	req, err := r.Parse()
	if err != nil {
		return nil
	}
	resp := req.ResponseKind()
	reader := kbin.Reader{Src: frame[8:]} // size and correlation
	if resp.IsFlexible() && r.Key != kmsg.ApiVersions {
		kmsg.SkipTags(&reader)
	}
	if resp.ReadFrom(reader.Src) != nil {
		return nil
	}
	return resp
}

func answerWith(r *Request, resp kmsg.Response, err *kerr.Error) []byte {
	top := r.Key != kmsg.Fetch // an error at the top of a fetch is about its session
	if setErrors(reflect.ValueOf(resp).Elem(), err.Code, top) == 0 {
		return nil
	}
	return encode(r, resp)
}

func encode(r *Request, resp kmsg.Response) []byte {
	b := make([]byte, 8, 256)
	binary.BigEndian.PutUint32(b[4:], uint32(r.correlation))
	if resp.IsFlexible() && r.Key != kmsg.ApiVersions {
		b = append(b, 0)
	}
	b = resp.AppendTo(b)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

// setErrors puts a code into every ErrorCode below v and returns how many there are.
func setErrors(v reflect.Value, code int16, top bool) (n int) {
	for i := range v.NumField() {
		f := v.Field(i)
		switch {
		case v.Type().Field(i).Name == "ErrorCode" && f.Kind() == reflect.Int16:
			if top {
				f.SetInt(int64(code))
				n++
			}
		case f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.Struct:
			for j := range f.Len() {
				n += setErrors(f.Index(j), code, true)
			}
		}
	}
	return n
}

// mirror makes an entry of the answer for each entry of the request: for each topic, partition and group, by their names.
func mirror(req, resp reflect.Value) {
	for i := range resp.NumField() {
		name := resp.Type().Field(i).Name
		to, from := resp.Field(i), req.FieldByName(name)
		switch {
		case !from.IsValid() || name == "Version" || name == "UnknownTags":
		case to.Kind() == reflect.Slice && to.Type().Elem().Kind() == reflect.Struct && from.Kind() == reflect.Slice:
			for j := range from.Len() {
				to.Set(reflect.Append(to, entry(from.Index(j), to.Type().Elem())))
			}
		case to.Type() == from.Type() && to.Kind() != reflect.Slice && name != "ErrorCode":
			to.Set(from)
		}
	}
}

// entry is one entry of the answer; a request may name a partition by its number alone.
func entry(from reflect.Value, of reflect.Type) reflect.Value {
	to := reflect.New(of)
	if d, ok := to.Interface().(interface{ Default() }); ok {
		d.Default()
	}
	switch from.Kind() {
	case reflect.Struct:
		mirror(from, to.Elem())
	case reflect.Int32:
		if p := to.Elem().FieldByName("Partition"); p.IsValid() {
			p.Set(from)
		}
	}
	return to.Elem()
}
