/* SPDX-License-Identifier: Apache-2.0 */
/* By hand: strptime(3) and timegm(3) know locales, blanks and dates that don't exist. */
#include <stdbool.h>
#include <string.h>

#include "tuf/metadata.h"

static int number(const char *text, size_t digits)
{
	int value = 0;

	for (size_t i = 0; i < digits; i++)
		value = value * 10 + (text[i] - '0');
	return value;
}

/* Returns what is behind the shape, NULL if the text has another one. */
static const char *skip_shape(const char *text, const char *shape)
{
	for (; *shape; text++, shape++)
		if (*shape == '0' ? *text < '0' || *text > '9' : *text != *shape)
			return NULL;
	return text;
}

static const char *skip_fraction(const char *text)
{
	size_t digits = *text == '.' ? strspn(text + 1, "0123456789") : 0;

	return digits >= 1 && digits <= 9 ? text + 1 + digits : text;
}

static bool has_shape(const char *text, bool any_fraction)
{
	text = skip_shape(text, "0000-00-00T00:00:00");
	if (text && any_fraction)
		text = skip_fraction(text);
	return text && strcmp(text, "Z") == 0;
}

static bool is_leap(int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_of(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	return days[month - 1] + (month == 2 && is_leap(year));
}

/* Days from 1970-01-01 to the first day of a year. */
static int64_t days_before(int year)
{
	int64_t past = year - 1;

	return past * 365 + past / 4 - past / 100 + past / 400 - 719162;
}

int tuf_time_read(const char *text, bool any_fraction, int64_t *time_s)
{
	int year, month, day, hour, minute, second;
	int64_t days;

	if (!has_shape(text, any_fraction))
		return -1;
	year = number(text, 4);
	month = number(text + 5, 2);
	day = number(text + 8, 2);
	hour = number(text + 11, 2);
	minute = number(text + 14, 2);
	second = number(text + 17, 2);
	if (year < 1 || month < 1 || month > 12 || day < 1 || day > days_of(year, month) ||
	    hour > 23 || minute > 59 || second > 59)
		return -1;
	days = days_before(year) + day - 1;
	for (int m = 1; m < month; m++)
		days += days_of(year, m);
	*time_s = ((days * 24 + hour) * 60 + minute) * 60 + second;
	return 0;
}
