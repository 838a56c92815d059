<?xml version="1.0" encoding="UTF-8"?>
<!--
 Licensed to the Apache Software Foundation (ASF) under one or more
 contributor license agreements.  See the NOTICE file distributed with
 this work for additional information regarding copyright ownership.
 The ASF licenses this file to You under the Apache License, Version 2.0
 (the "License"); you may not use this file except in compliance with
 the License.  You may obtain a copy of the License at

     http://www.apache.org/licenses/LICENSE-2.0

 Unless required by applicable law or agreed to in writing, software
 distributed under the License is distributed on an "AS IS" BASIS,
 WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
 See the License for the specific language governing permissions and
 limitations under the License.
-->
<!--
 From modulesynopsis to one page of HTML that needs no other file but the
 pictures. Elements that mean the same in HTML are copied; test/docs knows
 which there may be.
-->
<xsl:stylesheet version="1.0"
    xmlns:xsl="http://www.w3.org/1999/XSL/Transform">

<xsl:output method="html" encoding="UTF-8" indent="no"/>
<xsl:strip-space elements="modulesynopsis directivesynopsis section usage
    summary contextlist example ul ol table tr"/>

<xsl:variable name="httpd">https://httpd.apache.org/docs/2.4/mod/</xsl:variable>
<xsl:variable name="upper">ABCDEFGHIJKLMNOPQRSTUVWXYZ</xsl:variable>
<xsl:variable name="lower">abcdefghijklmnopqrstuvwxyz</xsl:variable>
<xsl:variable name="nl"><xsl:text>&#10;</xsl:text></xsl:variable>

<xsl:template match="/modulesynopsis">
  <xsl:text disable-output-escaping="yes">&lt;!DOCTYPE html&gt;&#10;</xsl:text>
  <xsl:comment> Made from <xsl:value-of select="name"/>.xml by "make manual": edit that. </xsl:comment>
  <xsl:value-of select="$nl"/>
  <html lang="en">
    <head>
      <title>The <xsl:value-of select="name"/> MPM</title>
      <meta name="viewport" content="width=device-width, initial-scale=1"/>
      <style>
body { font: 16px/1.5 sans-serif; color: #222; max-width: 48em;
    margin: 2em auto; padding: 0 1em; }
h1, h2, h3 { line-height: 1.2; margin: 1.6em 0 .5em; }
h2 { border-top: 1px solid #ccc; padding-top: .8em; }
a { color: #06c; }
code, pre { font: 14px/1.4 monospace; }
pre { background: #f4f4f2; border: 1px solid #ddd; padding: .7em 1em;
    overflow-x: auto; margin: .3em 0 1em; }
table { border-collapse: collapse; margin: 1em 0; }
th, td { border: 1px solid #ccc; padding: .3em .6em; text-align: left;
    vertical-align: top; }
th { background: #f4f4f2; }
img { max-width: 100%; }
.title { font-weight: bold; margin: 1em 0 0; }
.index { columns: 2; }
      </style>
    </head>
    <body>
      <h1>The <xsl:value-of select="name"/> MPM</h1>
      <table>
        <xsl:call-template name="row">
          <xsl:with-param name="name">Description</xsl:with-param>
          <xsl:with-param name="value" select="description"/>
        </xsl:call-template>
        <xsl:call-template name="row">
          <xsl:with-param name="name">Status</xsl:with-param>
          <xsl:with-param name="value" select="status"/>
        </xsl:call-template>
        <xsl:call-template name="row">
          <xsl:with-param name="name">Module identifier</xsl:with-param>
          <xsl:with-param name="value" select="identifier"/>
        </xsl:call-template>
        <xsl:call-template name="row">
          <xsl:with-param name="name">Source file</xsl:with-param>
          <xsl:with-param name="value" select="sourcefile"/>
        </xsl:call-template>
        <xsl:call-template name="row">
          <xsl:with-param name="name">Compatibility</xsl:with-param>
          <xsl:with-param name="value" select="compatibility"/>
        </xsl:call-template>
      </table>
      <xsl:apply-templates select="summary/*"/>
      <xsl:call-template name="seealso"/>
      <h2>Contents</h2>
      <ul>
        <xsl:for-each select="section">
          <li><a href="#{@id}"><xsl:value-of select="title"/></a></li>
          <xsl:value-of select="$nl"/>
        </xsl:for-each>
      </ul>
      <p class="title">Directives</p>
      <ul class="index">
        <xsl:for-each select="directivesynopsis">
          <li><a href="#{translate(name, $upper, $lower)}">
            <xsl:value-of select="name"/></a></li>
          <xsl:value-of select="$nl"/>
        </xsl:for-each>
      </ul>
      <xsl:apply-templates select="section"/>
      <xsl:apply-templates select="directivesynopsis"/>
    </body>
  </html>
</xsl:template>

<xsl:template name="row">
  <xsl:param name="name"/>
  <xsl:param name="value"/>
  <xsl:if test="$value">
    <tr><th><xsl:value-of select="$name"/></th>
    <td><xsl:apply-templates select="$value/node()"/></td></tr>
    <xsl:value-of select="$nl"/>
  </xsl:if>
</xsl:template>

<xsl:template name="seealso">
  <xsl:if test="seealso">
    <p class="title">See also</p>
    <ul>
      <xsl:for-each select="seealso">
        <li><xsl:apply-templates/></li>
        <xsl:value-of select="$nl"/>
      </xsl:for-each>
    </ul>
  </xsl:if>
</xsl:template>

<xsl:template match="section">
  <xsl:value-of select="$nl"/>
  <xsl:element name="h{count(ancestor::section) + 2}">
    <xsl:attribute name="id"><xsl:value-of select="@id"/></xsl:attribute>
    <xsl:apply-templates select="title/node()"/>
  </xsl:element>
  <xsl:value-of select="$nl"/>
  <xsl:apply-templates select="*[not(self::title)]"/>
</xsl:template>

<xsl:template match="directivesynopsis">
  <xsl:value-of select="$nl"/>
  <h2 id="{translate(name, $upper, $lower)}"><xsl:value-of select="name"/></h2>
  <xsl:value-of select="$nl"/>
  <table>
    <xsl:call-template name="row">
      <xsl:with-param name="name">Description</xsl:with-param>
      <xsl:with-param name="value" select="description"/>
    </xsl:call-template>
    <tr><th>Syntax</th>
    <td><code><xsl:apply-templates select="syntax/node()"/></code></td></tr>
    <xsl:value-of select="$nl"/>
    <xsl:if test="default">
      <tr><th>Default</th>
      <td><code><xsl:apply-templates select="default/node()"/></code></td></tr>
      <xsl:value-of select="$nl"/>
    </xsl:if>
    <xsl:call-template name="row">
      <xsl:with-param name="name">Context</xsl:with-param>
      <xsl:with-param name="value" select="contextlist/context"/>
    </xsl:call-template>
    <xsl:call-template name="row">
      <xsl:with-param name="name">Compatibility</xsl:with-param>
      <xsl:with-param name="value" select="compatibility"/>
    </xsl:call-template>
  </table>
  <xsl:apply-templates select="usage/*"/>
  <xsl:call-template name="seealso"/>
</xsl:template>

<xsl:template match="example">
  <xsl:if test="title">
    <p class="title"><xsl:apply-templates select="title/node()"/></p>
  </xsl:if>
  <xsl:apply-templates select="*[not(self::title)]"/>
</xsl:template>

<!-- Its text begins after a line break and ends with a line of blanks. -->
<xsl:template match="highlight">
  <pre><code><xsl:value-of select="substring-after(
      substring-before(concat(., '&#10;    &#10;'), '&#10;    &#10;'),
      '&#10;')"/></code></pre>
  <xsl:value-of select="$nl"/>
</xsl:template>

<xsl:template match="directive[@module]">
  <a href="{$httpd}{@module}.html#{translate(., $upper, $lower)}">
    <code><xsl:value-of select="."/></code></a>
</xsl:template>

<xsl:template match="directive">
  <a href="#{translate(., $upper, $lower)}">
    <code><xsl:value-of select="."/></code></a>
</xsl:template>

<xsl:template match="module">
  <a href="{$httpd}{.}.html"><code><xsl:value-of select="."/></code></a>
</xsl:template>

<xsl:template match="p | ul | ol | li | table | tr | th | td | pre | code
    | em | strong | var | a | img">
  <xsl:copy>
    <xsl:copy-of select="@*"/>
    <xsl:apply-templates/>
  </xsl:copy>
  <xsl:if test="self::p or self::li or self::tr or self::ul or self::pre">
    <xsl:value-of select="$nl"/>
  </xsl:if>
</xsl:template>

</xsl:stylesheet>
