/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A little ease around libxml2; private to the floor. */
#ifndef PATTERN_XML_H
#define PATTERN_XML_H

#include "reader.h"
#include <libxml/tree.h>

#define xml_parse bragg_pattern_xml_parse
#define xml_child bragg_pattern_xml_child
#define xml_again bragg_pattern_xml_again
#define xml_below bragg_pattern_xml_below
#define xml_is bragg_pattern_xml_is
#define xml_text bragg_pattern_xml_text
#define xml_attribute bragg_pattern_xml_attribute
#define xml_attribute_number bragg_pattern_xml_attribute_number
#define xml_number bragg_pattern_xml_number
#define xml_value bragg_pattern_xml_value
#pragma GCC visibility push(hidden)

/* Parse without network, entities or talk; EDATA with libxml2's message. */
bragg_status xml_parse(const void *bytes, size_t size, xmlDoc **doc, bragg_error *err);

/* First child element with that local name, whatever its namespace; NULL. */
xmlNode *xml_child(const xmlNode *node, const char *name);
/* The next sibling element of the same name; NULL. */
xmlNode *xml_again(const xmlNode *node);
/* First element of that name anywhere below; NULL. */
xmlNode *xml_below(xmlNode *node, const char *name);

/* True when the attribute is there and equals value. */
bool xml_is(const xmlNode *node, const char *attribute, const char *value);
/* The text of an element or of its attribute: malloc, xmlFree; NULL when absent. */
char *xml_text(const xmlNode *node);
char *xml_attribute(const xmlNode *node, const char *name);
/* The number in a child (NAN when absent or none), in the node itself, in an attribute. */
double xml_number(const xmlNode *node, const char *child);
double xml_value(const xmlNode *node);
double xml_attribute_number(const xmlNode *node, const char *name);

#pragma GCC visibility pop
#endif
