# Reads OpenStack's meta_data.json and prints the fields that the guest uses, as lines of "name value".
#
# Values are user input: control characters are removed, so that no value becomes a second line.
# The record separator is the quote, so records alternate between text outside and inside of strings.

BEGIN {
	RS = "\""
	wanted["uuid"] = "uuid"
	wanted["hostname"] = "hostname"
	wanted["admin_pass"] = "password"
}

in_string {
	text = text $0
	if (match($0, /\\+$/) && RLENGTH % 2) { # an escaped quote: the string goes on
		text = text "\""
		next
	}
	in_string = 0
	have_string = 1
	next
}

{
	if (have_string) {
		if ($0 ~ /^[ \t\r\n]*:/)
			key[depth] = text
		else
			string_value()
	}
	follow_brackets($0)
	have_string = 0
	in_string = 1
	text = ""
}

function string_value() {
	if (depth == 1 && key[1] in wanted)
		print wanted[key[1]], plain(text)
	else if (depth == 2 && key[1] == "public_keys")
		print "key", plain(text)
}

function follow_brackets(between,   i, char) {
	gsub(/[^][{}]/, "", between)
	for (i = 1; i <= length(between); i++) {
		char = substr(between, i, 1)
		if (char == "{" || char == "[")
			key[++depth] = ""
		else
			depth--
	}
}

# Decodes the escapes of a JSON string into UTF-8.
function plain(string,   result, char, code) {
	while (match(string, /\\./)) {
		result = result substr(string, 1, RSTART - 1)
		char = substr(string, RSTART + 1, 1)
		string = substr(string, RSTART + 2)
		if (char == "u") {
			code = hex(substr(string, 1, 4))
			string = substr(string, 5)
			if (code >= 55296 && code < 56320 && substr(string, 1, 2) == "\\u") { # a surrogate pair
				code = 65536 + (code - 55296) * 1024 + hex(substr(string, 3, 4)) - 56320
				string = substr(string, 7)
			}
			result = result utf8(code)
		} else if (index("\"\\/", char))
			result = result char
	}
	result = result string
	gsub(/[\001-\037\177]/, "", result)
	return result
}

function hex(digits,   i, number) {
	for (i = 1; i <= length(digits); i++)
		number = number * 16 + index("123456789abcdef", tolower(substr(digits, i, 1)))
	return number
}

function utf8(code) {
	if (code < 32)
		return ""
	if (code < 128)
		return sprintf("%c", code)
	if (code < 2048)
		return sprintf("%c", 192 + int(code / 64)) tail(code)
	if (code < 65536)
		return sprintf("%c", 224 + int(code / 4096)) tail(code / 64) tail(code)
	return sprintf("%c", 240 + int(code / 262144)) tail(code / 4096) tail(code / 64) tail(code)
}

function tail(code) {
	return sprintf("%c", 128 + int(code) % 64)
}
