# Reads a JSON document and prints its strings and numbers as lines of "path value". A quote marks a string:
#   networks.0.routes.1.gateway "10.0.0.1
#   links.0.mtu 1500
#
# Keys and values are user input. A key's special characters become "?", so that it cannot form another path. Control
# characters are removed from strings, so that no string becomes a second line.
# The record separator is the quote, so records alternate between text outside and inside of strings.

BEGIN {
	RS = "\""
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
		text = plain(text)
		if ($0 ~ /^[ \t\r\n]*:/) {
			gsub(/[^A-Za-z0-9_-]/, "?", text)
			step[depth] = text
		} else
			print_value("\"" text)
	}
	follow($0)
	have_string = 0
	in_string = 1
	text = ""
}

# Follows the brackets, commas and numbers between two strings.
function follow(between,   token) {
	while (match(between, /[][{},]|-?[0-9][0-9.eE+-]*/)) {
		token = substr(between, RSTART, RLENGTH)
		between = substr(between, RSTART + RLENGTH)
		if (token == "[" || token == "{") {
			is_list[++depth] = (token == "[")
			step[depth] = is_list[depth] ? 0 : ""
		} else if (token == "]" || token == "}")
			depth--
		else if (token != ",")
			print_value(token)
		else if (is_list[depth])
			step[depth]++
	}
}

function print_value(value,   path, i) {
	for (i = 1; i <= depth; i++)
		path = path (i > 1 ? "." : "") step[i]
	if (depth > 0)
		print path, value
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
