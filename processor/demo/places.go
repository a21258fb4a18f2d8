package demo

// The input topics of Casa Lumbre. Tills and app write plain JSON interactions, the other two what their makers devised.
const (
	TopicTills    = "pos.sales"
	TopicWeb      = "web.events"
	TopicApp      = "app.events"
	TopicMailings = "crm.mailings"
)

// Topics lists the input topics.
var Topics = []string{TopicTills, TopicWeb, TopicApp, TopicMailings}

// Mappings names the mapping of each topic that has one: the setting mapping of its source.
var Mappings = map[string]string{TopicWeb: "segment", TopicMailings: "sendgrid"}

// The StoreCodes. The app knows customers by accounts of its own and so is a store, too. The web shop has none: Segment knows
// of no stores, and so it names customers by what holds everywhere, their address.
const (
	StoreBuenosAires = "AR-001" // its UserIds come from a CHAR(8) column: five digits and padding that is sometimes missing
	StoreMontevideo  = "UY-001" // MV- and six digits
	StorePortoAlegre = "BR-001" // seven digits, which some exports write as a number with a decimal point
	StoreApp         = "APP"    // usr_ and eight hex digits
)

// Regions gives the region of national phone numbers for each StoreCode that has one: the setting identity.regions.
var Regions = map[string]string{StoreBuenosAires: "AR", StoreMontevideo: "UY", StorePortoAlegre: "BR"}

// Countries gives the country whose documents a StoreCode reads: the setting identity.countries.
var Countries = map[string]string{StoreBuenosAires: "AR", StoreMontevideo: "UY", StorePortoAlegre: "BR"}

// Identifiers of Casa Lumbre that belong to no customer.
const (
	KioskTablet   = "kiosk-ar001-entrada"                // device_id of the tablet where customers sign up in Buenos Aires
	CashierEmail  = "caja.montevideo@casalumbre.example" // typed at the till for customers who give no address
	WalkInCode    = "MV-000001"                          // the code that Montevideo books on for nobody in particular
	TestEmail     = "sinmail@casalumbre.example"         // what another till writes in place of an address
	shopMail      = "@casalumbre.example"
	placeholderID = "null"
)

// branch is what the generator knows of a till's branch.
type branch struct {
	store, place, currency string
	portuguese             bool
	ticket                 string // prefix of its order numbers
}

var branches = []branch{
	{StoreBuenosAires, "Buenos Aires", "ARS", false, "A"},
	{StoreMontevideo, "Montevideo", "UYU", false, "M"},
	{StorePortoAlegre, "Porto Alegre", "BRL", true, "P"},
}

// places names the StoreCodes for the reader; a code that is not here stands for itself.
var places = map[string]string{
	StoreBuenosAires: "Buenos Aires", StoreMontevideo: "Montevideo", StorePortoAlegre: "Porto Alegre",
	StoreApp: "the app",
}

// labels names identifiers that a retailer recognises, by namespace and normalised value.
var labels = map[identifier]string{
	{Namespace: "device_id", Value: KioskTablet}: "the tablet at the entrance in Buenos Aires",
	{Namespace: "email", Value: CashierEmail}:    "the e-mail of the till in Montevideo",
	{Namespace: "user", Value: WalkInCode}:       "Montevideo's code for walk-in customers",
}
